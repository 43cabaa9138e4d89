/** How media and data flow: directly, within one network or through a NAT, or over a relay. */
export type PathKind = "direct" | "direct-local" | "direct-nat" | "relayed";

/** The path to a peer, as the browser's statistics tell it. */
export interface Path {
  /**
   * `direct-local`: both ends use an address of their own. `direct-nat`: at least one is seen
   * through a NAT. `direct`: one of the two, but it is not known yet which. `relayed`: at least
   * one end uses a relay.
   */
  readonly kind: PathKind;
  /** The transport protocol between the two ends of the path. */
  readonly protocol: string | undefined;
  /** What this side speaks with its relay; undefined when it uses none. */
  readonly relayProtocol: string | undefined;
  /** Whose relay it is. */
  readonly relay: "own" | "theirs" | "both" | undefined;
  /** The round trip in milliseconds. */
  readonly roundTripMs: number | undefined;
  /** Bits a second since the last call; undefined at the first. */
  readonly sendBitrate: number | undefined;
  /** Bits a second since the last call; undefined at the first. */
  readonly receiveBitrate: number | undefined;
}

interface Candidate extends RTCStats {
  readonly candidateType?: string;
  readonly protocol?: string;
  readonly relayProtocol?: string;
}

interface Pair extends RTCIceCandidatePairStats {
  /** How Firefox marks the pair in use. */
  readonly selected?: boolean;
}

/**
 * An address that only checks have revealed (`prflx`) may be a NAT's, or one of the other end's own
 * that it has yet to tell; after so many milliseconds it would have.
 */
const TOLD_BY_NOW = 5_000;

/**
 * Tells the path of one peer connection, and the rates since the last time.
 *
 * @internal
 */
export class PathMeter {
  #last:
    | { readonly id: string; readonly at: number; readonly sent: number; readonly got: number }
    | undefined;
  #revealed: { readonly id: string; readonly since: number } | undefined;

  /** The path, or undefined while there is none. */
  read(report: RTCStatsReport): Path | undefined {
    const pair = selectedPair(report);
    if (!pair) return undefined;
    const local = report.get(pair.localCandidateId) as Candidate | undefined;
    const remote = report.get(pair.remoteCandidateId) as Candidate | undefined;
    if (!local || !remote) return undefined;
    const roundTrip = pair.currentRoundTripTime;
    return {
      kind: pathKind(local.candidateType, remote.candidateType, this.#lasts(pair, local, remote)),
      protocol: local.protocol,
      relayProtocol: local.relayProtocol,
      relay: relayOwner(local, remote),
      roundTripMs: roundTrip === undefined ? undefined : roundTrip * 1000,
      ...this.#rates(pair),
    };
  }

  /** Whether one end of the pair has been known from checks alone for long. */
  #lasts(pair: Pair, local: Candidate, remote: Candidate): boolean {
    if (local.candidateType !== "prflx" && remote.candidateType !== "prflx") {
      this.#revealed = undefined;
      return false;
    }
    if (this.#revealed?.id !== pair.id) this.#revealed = { id: pair.id, since: pair.timestamp };
    return pair.timestamp - this.#revealed.since > TOLD_BY_NOW;
  }

  #rates(pair: Pair): Pick<Path, "sendBitrate" | "receiveBitrate"> {
    const last = this.#last;
    const sent = pair.bytesSent ?? 0;
    const got = pair.bytesReceived ?? 0;
    this.#last = { id: pair.id, at: pair.timestamp, sent, got };
    if (last?.id !== pair.id || pair.timestamp <= last.at) {
      return { sendBitrate: undefined, receiveBitrate: undefined };
    }
    const bitsASecond = (bytes: number) => (8000 * bytes) / (pair.timestamp - last.at);
    return {
      sendBitrate: bitsASecond(sent - last.sent),
      receiveBitrate: bitsASecond(got - last.got),
    };
  }
}

/** @internal The kind of path between two types of candidate; `lasts` says whether `prflx` does. */
export function pathKind(
  local: string | undefined,
  remote: string | undefined,
  lasts = false,
): PathKind {
  if (local === "relay" || remote === "relay") return "relayed";
  if (local === "host" && remote === "host") return "direct-local";
  return local === "srflx" || remote === "srflx" || lasts ? "direct-nat" : "direct";
}

/**
 * Calls `changed` whenever another pair of candidates is chosen, in browsers that tell.
 *
 * @internal
 */
export function watchPath(connection: RTCPeerConnection, changed: () => void): void {
  let watched: RTCIceTransport | undefined;
  connection.addEventListener("connectionstatechange", () => {
    // There is none before the first answer, nor in every browser.
    const dtls = connection.sctp?.transport as Partial<RTCDtlsTransport> | undefined;
    const transport = dtls?.iceTransport;
    if (!transport || transport === watched) return;
    watched = transport;
    transport.addEventListener("selectedcandidatepairchange", changed);
  });
}

/** @internal What type of candidate this side uses, or undefined while there is no path. */
export function localType(report: RTCStatsReport): string | undefined {
  const pair = selectedPair(report);
  return pair && (report.get(pair.localCandidateId) as Candidate | undefined)?.candidateType;
}

/** @internal A number that changes whenever something comes over the path in use. */
export function received(report: RTCStatsReport): number {
  const pair = selectedPair(report);
  return (pair?.bytesReceived ?? 0) + (pair?.responsesReceived ?? 0);
}

function relayOwner(local: Candidate, remote: Candidate): Path["relay"] {
  const own = local.candidateType === "relay";
  const theirs = remote.candidateType === "relay";
  if (own) return theirs ? "both" : "own";
  return theirs ? "theirs" : undefined;
}

function selectedPair(report: RTCStatsReport): Pair | undefined {
  let marked: Pair | undefined;
  let named: string | undefined;
  report.forEach((entry: RTCStats) => {
    if (entry.type === "transport") {
      named = (entry as RTCTransportStats).selectedCandidatePairId ?? named;
    } else if (entry.type === "candidate-pair" && (entry as Pair).selected) {
      marked = entry as Pair;
    }
  });
  return named === undefined ? marked : (report.get(named) as Pair | undefined);
}
