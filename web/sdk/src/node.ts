/**
 * Data channels in Node, with the package `node-datachannel`. Media is for browsers.
 *
 * @packageDocumentation
 */

/** As much of `PeerConnection` of `node-datachannel` as is used. */
export interface NativePeerConnection {
  setLocalDescription(type: "offer" | "answer"): void;
  remoteDescription(): object | null;
}

/** `PeerConnection` of `node-datachannel`. */
export type NativeConstructor = new (
  name: string,
  configuration: {
    readonly iceServers: string[];
    readonly iceTransportPolicy: RTCIceTransportPolicy;
    readonly disableAutoNegotiation: boolean;
  },
) => NativePeerConnection;

/** `RTCPeerConnection` of `node-datachannel/polyfill`. */
export type PolyfillConstructor = new (configuration: RTCConfiguration) => RTCPeerConnection;

/**
 * Makes what `createPeerConnection` takes, out of the two parts of `node-datachannel`. The one that
 * looks like a browser's negotiates by itself, at times of its own; here it does when it is told to.
 */
export function nodePeerConnections(
  PeerConnection: NativeConstructor,
  RTCPeerConnection: PolyfillConstructor,
): (configuration: RTCConfiguration) => RTCPeerConnection {
  return (configuration) => {
    const { iceServers = [], iceTransportPolicy = "all" } = configuration;
    const native = new PeerConnection("peerage", {
      iceServers: iceServers.flatMap(urls),
      iceTransportPolicy,
      disableAutoNegotiation: true,
    });
    class NodePeerConnection extends RTCPeerConnection {
      #isAnnounced = false;

      override get remoteDescription(): RTCSessionDescription | null {
        return native.remoteDescription() === null ? null : super.remoteDescription;
      }

      override createDataChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel {
        const channel = super.createDataChannel(label, options);
        if (!this.#isAnnounced) {
          queueMicrotask(() => this.dispatchEvent(new Event("negotiationneeded")));
        }
        this.#isAnnounced = true;
        return channel;
      }

      override setLocalDescription(): Promise<void> {
        const isAsked = this.signalingState === "have-remote-offer";
        native.setLocalDescription(isAsked ? "answer" : "offer");
        return Promise.resolve();
      }
    }
    const taken = { iceServers: [], iceTransportPolicy, peerConnection: native };
    return new NodePeerConnection(taken);
  };
}

/** The addresses of a server as they are taken there: with the credentials in them. */
function urls(server: RTCIceServer): string[] {
  const { username, credential } = server;
  return [server.urls].flat().map((url) => {
    if (username === undefined || credential === undefined) return url;
    const [scheme = "", rest = ""] = url.split(/:(.*)/);
    const signedIn = `${encodeURIComponent(username)}:${encodeURIComponent(credential)}`;
    return `${scheme}:${signedIn}@${rest}`;
  });
}
