import { Emitter } from "./emitter.js";
import { ChannelError } from "./errors.js";

/** What a data channel carries. Binary data arrives as an ArrayBuffer. */
export type ChannelData = string | ArrayBuffer | ArrayBufferView<ArrayBuffer>;

/** What a {@link Channel} tells. */
export interface ChannelEvents {
  /** Data can be sent from now on. */
  open: undefined;
  /** Data has come. */
  message: string | ArrayBuffer;
  /** The channel is closed, by whichever side. */
  close: undefined;
  /** The browser reports a fault; `close` follows. */
  error: ChannelError;
}

/** Bounds of what a channel holds unsent. */
export interface ChannelLimits {
  /** `send` refuses what would leave more than so many bytes unsent. */
  readonly bufferBytes: number;
  /** The longest message that the other side takes, in bytes. */
  readonly messageBytes: () => number;
}

/** A data channel with a bounded buffer. */
export class Channel extends Emitter<ChannelEvents> {
  readonly #channel: RTCDataChannel;
  readonly #limits: ChannelLimits;
  #hasEnded = false;

  /** @internal */
  constructor(channel: RTCDataChannel, limits: ChannelLimits) {
    super();
    this.#channel = channel;
    this.#limits = limits;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = limits.bufferBytes / 2;
    channel.onopen = () => this.emit("open", undefined);
    channel.onclose = () => this.end();
    channel.onmessage = ({ data }) => this.emit("message", data as string | ArrayBuffer);
    channel.onerror = ({ error }) => {
      this.emit("error", new ChannelError("channel_not_open", error.message, { cause: error }));
    };
  }

  /** The name given at its opening. */
  get label(): string {
    return this.#channel.label;
  }

  /** Whether data can be sent. */
  get isOpen(): boolean {
    return this.#channel.readyState === "open";
  }

  /** How many bytes wait to be sent. */
  get bufferedBytes(): number {
    return this.#channel.bufferedAmount;
  }

  /**
   * Sends one message.
   *
   * @throws {@link ChannelError} with the code `channel_not_open`, `message_too_large`, or
   * `channel_buffer_full`; in the last case wait for {@link Channel.drained} and try again
   */
  send(data: ChannelData): void {
    if (!this.isOpen) {
      throw new ChannelError("channel_not_open", `the channel "${this.label}" is not open`);
    }
    const size = byteLength(data);
    if (size > this.#limits.messageBytes()) {
      throw new ChannelError("message_too_large", `the other side does not take ${size} bytes`);
    }
    if (this.bufferedBytes + size > this.#limits.bufferBytes) {
      throw new ChannelError("channel_buffer_full", `${this.bufferedBytes} bytes are unsent`);
    }
    // The overloads of `send` cannot be chosen by a union.
    this.#channel.send(data as string);
  }

  /** Resolves once at most half of the allowed buffer is in use, or the channel is closed. */
  drained(): Promise<void> {
    const channel = this.#channel;
    if (!this.isOpen || channel.bufferedAmount <= channel.bufferedAmountLowThreshold) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      channel.addEventListener("bufferedamountlow", () => resolve(), { once: true });
      channel.addEventListener("close", () => resolve(), { once: true });
    });
  }

  /** Closes the channel; what was sent before still arrives. */
  close(): void {
    this.#channel.close();
  }

  /** @internal The channel is no more; not every browser says so itself. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.emit("close", undefined);
  }
}

function byteLength(data: ChannelData): number {
  return typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
}
