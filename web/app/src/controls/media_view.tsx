import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { playStream } from "./playback.js";

interface MediaViewProps {
  readonly stream: MediaStream | undefined;
  readonly label: string;
  readonly mirrored?: boolean;
  /** Show the whole picture rather than fill the frame. */
  readonly whole?: boolean;
  readonly hidden?: boolean;
  /** Is told the picture's width by its height, and undefined before the first frame. */
  readonly aspect?: Signal<number | undefined>;
}

/** Shows the picture of a stream, without its sound. */
export function MediaView(props: MediaViewProps): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  const { stream, aspect } = props;
  useEffect(() => playStream(element.current, stream), [stream]);
  const measure = ({ currentTarget }: { readonly currentTarget: HTMLVideoElement }) => {
    const { videoWidth, videoHeight } = currentTarget;
    if (aspect) aspect.value = videoWidth > 0 ? videoWidth / videoHeight : undefined;
  };
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
      muted
      onLoadedData={measure}
      onResize={measure}
      onEmptied={measure}
    />
  );
}
