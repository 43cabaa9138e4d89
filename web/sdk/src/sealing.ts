import { PeerageError } from "./errors.js";
import type { Json } from "./messages.js";

const IV_BYTES = 12;
const KEY_BYTES = 16;
const SALT = "peerage room key, version 1";
/** Shorter ones could be guessed. */
const SHORTEST_KEY = 16;

/** Makes a key for {@link JoinOptions.key}: 128 random bits, in characters that fit into a link. */
export function newRoomKey(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
}

/**
 * Seals what the members of a room say to each other by way of the server, which then can neither
 * read nor change it, nor pass it on in somebody else's name.
 *
 * @internal
 */
export class Seal {
  /** What the server is told to be the room's name. */
  readonly room: string;
  readonly #key: CryptoKey;
  /** What is sealed is handed on in the order in which it was asked for. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(room: string, key: CryptoKey) {
    this.room = room;
    this.#key = key;
  }

  /** @throws {@link PeerageError} `insecure_context`, `invalid_key` */
  static async of(name: string, key: string): Promise<Seal> {
    const { subtle } = crypto as { readonly subtle?: SubtleCrypto };
    if (!subtle) {
      throw new PeerageError("insecure_context", "keys need a page of https:// or localhost");
    }
    if (key.length < SHORTEST_KEY) {
      throw new PeerageError("invalid_key", `a key has ${SHORTEST_KEY} characters or more`);
    }
    const base = await subtle.importKey("raw", bytesOf(key), "HKDF", false, [
      "deriveBits",
      "deriveKey",
    ]);
    const derive = (purpose: string) => ({
      name: "HKDF",
      hash: "SHA-256",
      salt: bytesOf(SALT),
      info: bytesOf(JSON.stringify([purpose, name])),
    });
    const room = await subtle.deriveBits(derive("room"), base, 192);
    const aes = { name: "AES-GCM", length: 256 };
    const sealing = await subtle.deriveKey(derive("messages"), base, aes, false, [
      "encrypt",
      "decrypt",
    ]);
    return new Seal(base64Url(new Uint8Array(room)), sealing);
  }

  /** Seals a value. It opens only with the same `about`, which says whose it is and what for. */
  seal(about: readonly string[], value: unknown): Promise<string> {
    const sealed = this.#last.then(async () => {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const text = await crypto.subtle.encrypt(
        algorithm(iv, about),
        this.#key,
        bytesOf(JSON.stringify(value)),
      );
      const bytes = new Uint8Array(IV_BYTES + text.byteLength);
      bytes.set(iv);
      bytes.set(new Uint8Array(text), IV_BYTES);
      return base64Url(bytes);
    });
    this.#last = sealed.catch(() => undefined);
    return sealed;
  }

  /** Opens what somebody with the same key has sealed; undefined if it is not that. */
  async open(about: readonly string[], sealed: unknown): Promise<{ value: Json } | undefined> {
    if (typeof sealed !== "string") return undefined;
    try {
      const bytes = Uint8Array.from(
        atob(sealed.replaceAll("-", "+").replaceAll("_", "/")),
        (character) => character.charCodeAt(0),
      );
      const iv = bytes.subarray(0, IV_BYTES);
      const text = await crypto.subtle.decrypt(
        algorithm(iv, about),
        this.#key,
        bytes.subarray(IV_BYTES),
      );
      return { value: JSON.parse(new TextDecoder().decode(text)) as Json };
    } catch {
      // Whatever is wrong with it, it was not sealed for this.
      return undefined;
    }
  }
}

function algorithm(iv: BufferSource, about: readonly string[]): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: bytesOf(JSON.stringify(about)) };
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function base64Url(bytes: Uint8Array): string {
  let characters = "";
  for (const byte of bytes) characters += String.fromCharCode(byte);
  return btoa(characters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
