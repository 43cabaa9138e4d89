import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { playStream } from "./playback.js";

interface SoundProps {
  readonly stream: MediaStream | undefined;
  /** The device that plays it; empty for the system's choice. */
  readonly speaker: string;
  readonly blocked: () => void;
}

/**
 * Plays the sound of a stream, and shows nothing. It is apart from the picture because Chromium
 * holds the sound in a video element back until the first frame, which need never come.
 */
export function Sound({ stream, speaker, blocked }: SoundProps): JSX.Element {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => playStream(element.current, stream, blocked), [stream, blocked]);
  useEffect(() => {
    if (element.current) playOn(element.current, speaker);
  }, [speaker]);
  return <audio ref={element} autoPlay />;
}

function playOn(audio: HTMLAudioElement, speaker: string): void {
  if (!("setSinkId" in audio)) return;
  audio.setSinkId(speaker).catch((error: unknown) => {
    console.warn("the chosen speaker is not to be had", error);
  });
}
