/** How media and data flow: within one network, through a NAT, or over a relay. */
export type PathKind = "direct-local" | "direct-nat" | "relayed";

/** The path to a peer, as the browser's statistics tell it. */
export interface Path {
  /**
   * `direct-local`: both ends use an address of their own. `direct-nat`: at least one is seen
   * through a NAT. `relayed`: at least one end uses a relay.
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
 * Tells the path of one peer connection, and the rates since the last time.
 *
 * @internal
 */
export class PathMeter {
  #last:
    | { readonly id: string; readonly at: number; readonly sent: number; readonly got: number }
    | undefined;

  /** The path, or undefined while there is none. */
  read(report: RTCStatsReport): Path | undefined {
    const pair = selectedPair(report);
    if (!pair) return undefined;
    const local = report.get(pair.localCandidateId) as Candidate | undefined;
    const remote = report.get(pair.remoteCandidateId) as Candidate | undefined;
    if (!local || !remote) return undefined;
    const roundTrip = pair.currentRoundTripTime;
    return {
      kind: pathKind(local.candidateType, remote.candidateType),
      protocol: local.protocol,
      relayProtocol: local.relayProtocol,
      relay: relayOwner(local, remote),
      roundTripMs: roundTrip === undefined ? undefined : roundTrip * 1000,
      ...this.#rates(pair),
    };
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

/** @internal The kind of path between two types of candidate. */
export function pathKind(local: string | undefined, remote: string | undefined): PathKind {
  if (local === "relay" || remote === "relay") return "relayed";
  return local === "host" && remote === "host" ? "direct-local" : "direct-nat";
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
