import { newRoomKey } from "@peerage/client";

/** Crockford's alphabet: nothing in it is mistaken for something else when read out. */
const BASE32 = "0123456789abcdefghjkmnpqrstvwxyz";
const SECRET_LENGTH = 12;
/** A name and, behind a colon, the key of those who have the link. */
const ROOM = /^[A-Za-z0-9._~-]{1,128}(:[A-Za-z0-9_-]{16,128})?$/;

const ADJECTIVES =
  "amber ample azure bold brave brisk calm clear coral crisp dusky eager early fair fleet fond " +
  "gentle glad golden green hazel humble ivory jolly keen kind lively lucid lunar mellow merry " +
  "mild misty noble opal pale placid plain proud quick quiet rapid ready royal ruby rustic sandy " +
  "serene silver sleek snowy solar spry stable sunny swift tidal tidy topaz velvet vivid warm wise";
const NOUNS =
  "acorn alder anchor aspen badger basin beacon birch bridge brook canyon cedar cliff cloud clover " +
  "comet cove crane delta dune eagle elm falcon fern finch fjord forest garden glade grove harbor " +
  "heron hill island juniper lagoon lake lantern lark linden lynx maple marsh meadow oak orchard " +
  "otter owl pebble pine plover pond prairie raven reef river robin sparrow spruce summit swan " +
  "thicket tulip willow wren";

/** The room that the address names, or undefined where it names none that there can be. */
export function roomFromHash(hash: string): string | undefined {
  const name = hash.replace(/^#/, "");
  return ROOM.test(name) ? name : undefined;
}

/** An address's fragment without the access token that it may bring along, and that token. */
export function withoutToken(hash: string): { readonly rest: string; readonly token?: string } {
  const [rest = "", token] = hash.split("&token=");
  return { rest, ...(token !== undefined && { token }) };
}

/** Where a pasted link, or a bare name, leads, and the access token that it may bring along. */
export function invitation(
  text: string,
): { readonly room: string; readonly token?: string } | undefined {
  const trimmed = text.trim();
  const hash = trimmed.includes("#") ? trimmed.slice(trimmed.indexOf("#")) : trimmed;
  const { rest, ...token } = withoutToken(hash);
  const room = roomFromHash(rest);
  return room === undefined ? undefined : { room, ...token };
}

/**
 * A room that nobody can guess: whoever has the link may join. Where the browser has no
 * cryptography for keys, which is on pages that are not secure, the secret is in the name.
 */
export function newRoom(isSecure = isSecureContext): string {
  const random = crypto.getRandomValues(new Uint8Array(SECRET_LENGTH + 2));
  const [adjective = 0, noun = 0, ...secret] = random;
  const words = `${pick(ADJECTIVES.split(" "), adjective)}-${pick(NOUNS.split(" "), noun)}`;
  if (isSecure) return `${words}:${newRoomKey()}`;
  return `${words}-${secret.map((byte) => BASE32.charAt(byte % BASE32.length)).join("")}`;
}

/** The two parts of a room as links have it. */
export function nameAndKey(room: string): { readonly name: string; readonly key?: string } {
  const [name = "", key] = room.split(":");
  return { name, ...(key !== undefined && { key }) };
}

function pick(words: readonly string[], index: number): string {
  return words[index % words.length] ?? "";
}
