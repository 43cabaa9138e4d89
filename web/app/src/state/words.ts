import { PeerageError } from "@peerage/client";

const WORDS: Readonly<Record<string, string>> = {
  room_full: "This call is full. Ask somebody to leave, or start another one.",
  too_many_rooms: "You are in too many calls at once. Leave one of them first.",
  invalid_room: "This link is not one of a call. Check that it is complete.",
  invalid_name: "This name cannot be used. Take a shorter one without special characters.",
  already_joined: "You are in this call already.",
  knock_denied: "You were not let in.",
  knock_expired: "Nobody has let you in. Ask those in the call, then try again.",
  too_many_knocks: "Too many others wait to be let in. Try again later.",
  barred: "You may not come back into this call.",
  removed: "You were put out of the call.",
  unauthorized: "This server asks for an access token that is good. Paste yours.",
  not_allowed: "Your access token is not for this call. Paste another one.",
  too_many_sessions: "Your access token is in use too often. Leave another call first.",
  rate_limited: "Too much at once. Wait a moment, then try again.",
  connection_refused: "The server does not accept this page. Reload it to get the latest version.",
  insecure_context:
    "This link has a key, which browsers allow on secure pages only. Open it with https:// in front.",
  session_replaced: "The call went on in another place, so it ended here.",
  negotiation_failed: "The browser could not set up the connection.",
};

/** An error, for people. */
export function inWords(error: unknown): string {
  const known = error instanceof PeerageError ? WORDS[error.code] : undefined;
  if (known !== undefined) return known;
  return `Something went wrong: ${error instanceof Error ? error.message : String(error)}`;
}
