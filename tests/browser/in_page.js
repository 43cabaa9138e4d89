/*
 * These functions run within the page, and so see nothing of this file but themselves.
 */

/** Runs before the page's own scripts: keeps every peer connection, and what goes wrong. */
export function observe() {
  const connections = [];
  const violations = [];
  window.__connections = connections;
  window.__violations = violations;
  window.__sockets = 0;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...configuration) {
      super(...configuration);
      connections.push(this);
    }
  };
  window.WebSocket = class extends WebSocket {
    constructor(...target) {
      super(...target);
      window.__sockets += 1;
    }
  };
  document.addEventListener("securitypolicyviolation", (event) => {
    violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
  });
}

/** What the statistics of all open peer connections say, one entry a connection. */
export async function readStatistics() {
  const open = window.__connections.filter(({ connectionState }) => connectionState !== "closed");
  return Promise.all(
    open.map(async (connection) => {
      const report = await connection.getStats();
      const entries = [...report.values()];
      const received = (kind) =>
        entries.filter((entry) => entry.type === "inbound-rtp" && entry.kind === kind);
      const sum = (list, field) => list.reduce((total, entry) => total + (entry[field] ?? 0), 0);
      const transport = entries.find(({ type }) => type === "transport");
      const pair = report.get(transport?.selectedCandidatePairId);
      return {
        number: window.__connections.indexOf(connection),
        state: connection.connectionState,
        gathering: connection.iceGatheringState,
        framesDecoded: sum(received("video"), "framesDecoded"),
        audioEnergy: sum(received("audio"), "totalAudioEnergy"),
        localCandidates: entries.filter(({ type }) => type === "local-candidate").length,
        local: report.get(pair?.localCandidateId)?.candidateType,
        remote: report.get(pair?.remoteCandidateId)?.candidateType,
        relayProtocol: report.get(pair?.localCandidateId)?.relayProtocol,
      };
    }),
  );
}

/** How bright each part of a video is now, from 0 to 255; empty while it shows nothing. */
export function samplePicture(video) {
  if (video.videoWidth === 0) return [];
  const [width, height] = [32, 18];
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Array.from({ length: width * height }, (_, place) => data[4 * place + 1]);
}

/** How far the page can be scrolled sideways, and which elements stick out. */
export function sidewaysOverflow() {
  const { clientWidth, scrollWidth } = document.documentElement;
  const outside = [...document.querySelectorAll("body *")].filter((element) => {
    const { left, right, width } = element.getBoundingClientRect();
    const seen = element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    return seen && width > 1 && (right > clientWidth + 1 || left < -1);
  });
  return {
    scroll: scrollWidth - clientWidth,
    outside: outside.map(({ tagName, className }) => `${tagName}.${className}`),
  };
}
