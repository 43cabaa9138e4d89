import type { Path } from "@peerage/client";

export interface Detail {
  readonly term: string;
  readonly value: string;
}

/** What there is to tell about a path, in a person's units. */
export function pathDetails(path: Path): readonly Detail[] {
  const details: (Detail | undefined)[] = [
    detail("Protocol", path.protocol?.toUpperCase()),
    detail("Relay", relay(path)),
    detail("Round trip", path.roundTripMs && `${Math.max(1, Math.round(path.roundTripMs))} ms`),
    detail("Sending", bitrate(path.sendBitrate)),
    detail("Receiving", bitrate(path.receiveBitrate)),
  ];
  return details.filter((entry) => entry !== undefined);
}

function detail(term: string, value: string | 0 | undefined): Detail | undefined {
  return value === undefined || value === 0 ? undefined : { term, value };
}

function relay({ relay: owner, relayProtocol }: Path): string | undefined {
  switch (owner) {
    case undefined:
      return undefined;
    case "theirs":
      return "on their side";
    default: {
      const side = owner === "both" ? "on both sides" : "on your side";
      return relayProtocol === undefined ? side : `${side}, over ${relayProtocol.toUpperCase()}`;
    }
  }
}

export function bitrate(bitsASecond: number | undefined): string | undefined {
  if (bitsASecond === undefined) return undefined;
  if (bitsASecond < 1_000_000) return `${Math.round(bitsASecond / 1_000)} kbit/s`;
  return `${(bitsASecond / 1_000_000).toFixed(1)} Mbit/s`;
}
