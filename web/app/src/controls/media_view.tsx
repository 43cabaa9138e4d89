import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface MediaViewProps {
  readonly stream: MediaStream | undefined;
  readonly label: string;
  readonly muted?: boolean;
  readonly mirrored?: boolean;
  /** Show the whole picture rather than fill the frame. */
  readonly whole?: boolean;
  readonly hidden?: boolean;
  /** The device that plays the sound; empty for the system's choice. */
  readonly speaker?: string;
  readonly blocked?: () => void;
}

/** Plays a stream. */
export function MediaView(props: MediaViewProps): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  const { stream, speaker, blocked } = props;
  useEffect(() => {
    const video = element.current;
    if (!video || video.srcObject === (stream ?? null)) return;
    video.srcObject = stream ?? null;
    if (stream) play(video, blocked);
  }, [stream, blocked]);
  useEffect(() => {
    if (element.current && speaker !== undefined) playOn(element.current, speaker);
  }, [speaker]);
  const classes = ["media-view"];
  if (props.mirrored) classes.push("is-mirrored");
  if (props.whole) classes.push("is-whole");
  if (props.hidden) classes.push("is-hidden");
  return (
    <video
      ref={element}
      class={classes.join(" ")}
      aria-label={props.label}
      autoPlay
      playsInline
      muted={props.muted ?? false}
    />
  );
}

function play(video: HTMLVideoElement, blocked: (() => void) | undefined): void {
  video.play().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "NotAllowedError") blocked?.();
    // A newer stream has taken this one's place before it began.
    else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  });
}

function playOn(video: HTMLVideoElement, speaker: string): void {
  if (!("setSinkId" in video)) return;
  video.setSinkId(speaker).catch((error: unknown) => {
    console.warn("the chosen speaker is not to be had", error);
  });
}
