/** As much of a data channel as the library touches. */
export class FakeDataChannel extends EventTarget {
  readonly label: string;
  readyState: RTCDataChannelState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = "blob";
  readonly sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: { error: Error }) => void) | null = null;

  constructor(label: string) {
    super();
    this.label = label;
  }

  open(): void {
    this.readyState = "open";
    this.onopen?.();
  }

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(): void {
    this.readyState = "closed";
    this.onclose?.();
    this.dispatchEvent(new Event("close"));
  }
}

interface FakeTransceiver {
  mid: string | null;
  stopped: boolean;
  sender: { track: unknown; replaceTrack(track: unknown): Promise<void> };
  stop(): void;
}

/** As much of a peer connection as the library touches. */
export class FakePeerConnection extends EventTarget {
  signalingState: RTCSignalingState = "stable";
  connectionState: RTCPeerConnectionState = "new";
  iceConnectionState: RTCIceConnectionState = "new";
  iceGatheringState: RTCIceGatheringState = "complete";
  localDescription: RTCSessionDescriptionInit | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;
  readonly sctp = { maxMessageSize: 1000 };
  readonly channels: FakeDataChannel[] = [];
  readonly transceivers: FakeTransceiver[] = [];
  readonly candidates: unknown[] = [];
  configuration: RTCConfiguration;
  restarts = 0;
  /** What the statistics say of the path in use. */
  path: { localType: string; bytesReceived: number } | undefined;

  constructor(configuration: RTCConfiguration = {}) {
    super();
    this.configuration = configuration;
  }

  asReal(): RTCPeerConnection {
    return this as unknown as RTCPeerConnection;
  }

  createDataChannel(label: string): FakeDataChannel {
    const channel = new FakeDataChannel(label);
    this.channels.push(channel);
    return channel;
  }

  addTransceiver(trackOrKind: unknown): FakeTransceiver {
    const transceiver: FakeTransceiver = {
      mid: String(this.transceivers.length),
      stopped: false,
      sender: {
        track: trackOrKind,
        replaceTrack(track: unknown) {
          this.track = track;
          return Promise.resolve();
        },
      },
      stop() {
        this.stopped = true;
      },
    };
    this.transceivers.push(transceiver);
    return transceiver;
  }

  setLocalDescription(): Promise<void> {
    const type = this.signalingState === "have-remote-offer" ? "answer" : "offer";
    this.localDescription = { type, sdp: `local ${type}` };
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
    return Promise.resolve();
  }

  setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    this.remoteDescription = description;
    this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
    return Promise.resolve();
  }

  addIceCandidate(candidate: unknown): Promise<void> {
    if (!this.remoteDescription) return Promise.reject(new Error("no remote description"));
    this.candidates.push(candidate);
    return Promise.resolve();
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  restartIce(): void {
    this.restarts += 1;
  }

  getStats(): Promise<RTCStatsReport> {
    const { localType, bytesReceived } = this.path ?? {};
    const entries: [string, object][] = [
      ["t", { type: "transport", selectedCandidatePairId: "p" }],
      ["p", { type: "candidate-pair", localCandidateId: "l", bytesReceived }],
      ["l", { type: "local-candidate", candidateType: localType }],
    ];
    return Promise.resolve(new Map(this.path ? entries : []));
  }

  close(): void {
    this.signalingState = "closed";
    this.connectionState = "closed";
  }

  /** What the browser does when something new is to be negotiated. */
  needNegotiation(): void {
    this.dispatchEvent(new Event("negotiationneeded"));
  }

  /** What the browser does when the other side sends something. */
  receiveTrack(kind: string): void {
    const transceiver = { mid: "0", receiver: { track: { kind } }, currentDirection: "recvonly" };
    this.dispatchEvent(Object.assign(new Event("track"), { transceiver }));
  }

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  becomeIce(state: RTCIceConnectionState): void {
    this.iceConnectionState = state;
    this.dispatchEvent(new Event("iceconnectionstatechange"));
  }
}
