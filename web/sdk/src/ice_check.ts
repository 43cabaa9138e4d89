import { asError } from "./errors.js";

/** @internal Makes a peer connection. */
export type CreateConnection = (configuration: RTCConfiguration) => RTCPeerConnection;

/** Where no server answers browsers look for longer than this, in milliseconds. */
const PROMPT = 3_000;

/**
 * Resolves when a STUN server has answered.
 *
 * @throws Error with the reason, in words; what `signal` was aborted with
 * @internal
 */
export async function checkStun(
  create: CreateConnection,
  urls: readonly string[],
  signal: AbortSignal,
): Promise<undefined> {
  const connection = create({ iceServers: [{ urls: [...urls] }] });
  const began = performance.now();
  const refusals: string[] = [];
  let hosts = 0;
  try {
    connection.createDataChannel("");
    await untilAborted(signal, (resolve, reject) => {
      const finish = () => {
        // An answer that names this side's own address (there is no NAT) leads to no candidate.
        const isPrompt = performance.now() - began < PROMPT;
        if (hosts > 0 && refusals.length === 0 && isPrompt) resolve(undefined);
        else reject(new Error(refusals[0] ?? (hosts > 0 ? "no STUN answer" : "no network")));
      };
      onRefusal(connection, refusals);
      connection.addEventListener("icecandidate", ({ candidate }) => {
        if (candidate === null) finish();
        else if (candidate.type === "srflx") resolve(undefined);
        else if (candidate.candidate !== "") hosts += 1;
      });
      connection.setLocalDescription().catch(reject);
    });
  } finally {
    connection.close();
  }
}

/**
 * Sends bytes by way of a relay to this side itself, and has them sent back: their round trip in
 * milliseconds.
 *
 * @throws Error with the reason, in words; what `signal` was aborted with
 * @internal
 */
export async function checkRelay(
  create: CreateConnection,
  server: RTCIceServer,
  signal: AbortSignal,
): Promise<number> {
  const configuration = { iceServers: [server], iceTransportPolicy: "relay" as const };
  const here = create(configuration);
  const there = create(configuration);
  try {
    return await untilAborted(signal, (resolve, reject) => {
      onNoRelay(here, (why) => reject(new Error(why)));
      there.addEventListener("datachannel", ({ channel }) => {
        channel.onmessage = ({ data }) => channel.send(data as string);
      });
      measure(here.createDataChannel(""), resolve);
      introduce(here, there).catch(reject);
    });
  } finally {
    here.close();
    there.close();
  }
}

function measure(channel: RTCDataChannel, told: (roundTripMs: number) => void): void {
  let sentAt = 0;
  channel.onopen = () => {
    sentAt = performance.now();
    channel.send("and back");
  };
  channel.onmessage = () => told(performance.now() - sentAt);
}

async function introduce(here: RTCPeerConnection, there: RTCPeerConnection): Promise<void> {
  const candidates: (() => Promise<void>)[] = [];
  let isIntroduced = false;
  const pass = (from: RTCPeerConnection, to: RTCPeerConnection) => {
    from.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate?.candidate) return;
      const tell = () => to.addIceCandidate(candidate).catch(() => undefined);
      if (isIntroduced) void tell();
      else candidates.push(tell);
    });
  };
  pass(here, there);
  pass(there, here);
  await here.setLocalDescription();
  await there.setRemoteDescription(described(here));
  await there.setLocalDescription();
  await here.setRemoteDescription(described(there));
  isIntroduced = true;
  await Promise.all(candidates.map((tell) => tell()));
}

function described({ localDescription }: RTCPeerConnection): RTCSessionDescriptionInit {
  if (!localDescription) throw new Error("the browser describes nothing");
  return localDescription;
}

function onNoRelay(connection: RTCPeerConnection, told: (why: string) => void): void {
  const refusals: string[] = [];
  let relays = 0;
  onRefusal(connection, refusals);
  connection.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate?.type === "relay") relays += 1;
    if (candidate === null && relays === 0) told(refusals[0] ?? "the relay does not answer");
  });
}

function onRefusal(connection: RTCPeerConnection, refusals: string[]): void {
  connection.addEventListener("icecandidateerror", ({ errorCode, errorText }) => {
    refusals.push(errorText === "" ? `error ${errorCode}` : errorText.replace(/\.$/, ""));
  });
}

function untilAborted<T>(
  signal: AbortSignal,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(asError(error));
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
    begin(resolve, fail);
  });
}
