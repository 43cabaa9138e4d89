import { PeerageError } from "@peerage/client";
import { signal } from "@preact/signals";
import { Call } from "./call.js";
import { Capture } from "./capture.js";
import { ConnectionCheck } from "./connection_check.js";
import { Preferences } from "./preferences.js";
import { newRoom, roomFromHash, withoutToken } from "./room_name.js";
import { inWords } from "./words.js";

/** What the page shows. */
export type View =
  | { readonly kind: "start" }
  | { readonly kind: "lobby"; readonly room: string; readonly problem?: string }
  | { readonly kind: "joining"; readonly room: string; readonly call: Call }
  | { readonly kind: "call"; readonly room: string; readonly call: Call }
  | { readonly kind: "left"; readonly room: string; readonly why?: string };

/** How the server says that another access token is needed. */
const ABOUT_TOKENS: ReadonlySet<string> = new Set(["unauthorized", "token_expired", "not_allowed"]);

/** The page as a whole: which view it shows, and what leads from one to the next. */
export class Application {
  readonly preferences = new Preferences();
  readonly capture = new Capture(this.preferences);
  /** What the server lets this page in by, if it asks for it; kept nowhere else. */
  readonly accessToken = signal("");
  /** Whether the server has asked for it, or for another one. */
  readonly needsToken = signal(false);
  readonly connectionCheck = new ConnectionCheck(serverUrl(), () => ({
    relayOnly: this.preferences.relayOnly.value,
    accessToken: this.#token,
  }));
  readonly view = signal<View>({ kind: "start" });

  /** Shows what the address says. */
  route(): void {
    this.#endCall();
    this.#takeToken();
    const room = roomFromHash(location.hash);
    this.view.value = room === undefined ? { kind: "start" } : { kind: "lobby", room };
    if (room === undefined) this.capture.stop();
  }

  startCall(): void {
    this.openRoom(newRoom());
  }

  /** Goes to the lobby of a room. A token stays out of the address. */
  openRoom(room: string, token?: string): void {
    if (token !== undefined) this.accessToken.value = token;
    location.hash = room;
  }

  goHome(): void {
    history.pushState(null, "", location.pathname);
    this.route();
  }

  async join(room: string): Promise<void> {
    const call = new Call({
      url: serverUrl(),
      room,
      name: this.preferences.name.value.trim(),
      accessToken: this.#token,
      capture: this.capture,
      ended: (why) => this.#left(room, why),
    });
    this.view.value = { kind: "joining", room, call };
    try {
      await call.join();
      this.needsToken.value = false;
      if (this.#shows(call)) this.view.value = { kind: "call", room, call };
    } catch (error) {
      if (!this.#shows(call)) return;
      call.leave();
      if (error instanceof PeerageError && ABOUT_TOKENS.has(error.code)) {
        this.needsToken.value = true;
      }
      this.view.value = { kind: "lobby", room, problem: inWords(error) };
    }
  }

  async rejoin(room: string): Promise<void> {
    await this.capture.start();
    await this.join(room);
  }

  /** Goes back from an attempt to join. */
  cancel(room: string): void {
    this.#endCall();
    this.view.value = { kind: "lobby", room };
  }

  hangUp(room: string): void {
    this.#endCall();
    this.#left(room);
  }

  /** The page goes away: the others should not have to wait to find out. */
  unload(): void {
    this.#endCall();
  }

  get #token(): string | undefined {
    const token = this.accessToken.value.trim();
    return token === "" ? undefined : token;
  }

  /** Takes the token out of the address, so that it is neither shown nor remembered there. */
  #takeToken(): void {
    const { rest, token } = withoutToken(location.hash);
    if (token === undefined) return;
    this.accessToken.value = token;
    history.replaceState(null, "", location.pathname + rest);
  }

  #left(room: string, why?: string): void {
    this.#endCall();
    this.capture.stop();
    this.view.value = { kind: "left", room, ...(why !== undefined && { why }) };
  }

  #shows(call: Call): boolean {
    const view = this.view.value;
    return "call" in view && view.call === call;
  }

  #endCall(): void {
    const view = this.view.value;
    if ("call" in view) view.call.leave();
  }
}

function serverUrl(): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`;
}

/** The link that lets others join. */
export function linkTo(room: string): string {
  return `${location.origin}${location.pathname}#${room}`;
}
