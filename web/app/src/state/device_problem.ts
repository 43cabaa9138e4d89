export type DeviceKind = "camera" | "microphone";

/** Why a device cannot be used. */
export type DeviceProblem = "insecure" | "refused" | "missing" | "busy" | "unknown";

/** The problem behind an error of getUserMedia. */
export function deviceProblem(error: unknown): DeviceProblem {
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "unknown";
  }
}

/** What has happened and what to do about it. */
export function problemInWords(problem: DeviceProblem, kinds: readonly DeviceKind[]): string {
  const both = kinds.length > 1;
  const devices = both ? "camera and microphone" : (kinds[0] ?? "device");
  switch (problem) {
    case "insecure":
      return `Browsers allow ${devices} only on secure pages. Open this page with https:// in front of its address.`;
    case "refused":
      return both
        ? `Camera and microphone are blocked for this page. Allow them with the icon beside the address, then try again.`
        : `The ${devices} is blocked for this page. Allow it with the icon beside the address, then try again.`;
    case "missing":
      return both
        ? `No camera and no microphone were found. Plug them in, then try again.`
        : `No ${devices} was found. Plug one in, then try again.`;
    case "busy":
      return both
        ? `Camera and microphone do not start; another program may be using them. Close that program, then try again.`
        : `The ${devices} does not start; another program may be using it. Close that program, then try again.`;
    case "unknown":
      return both
        ? `Camera and microphone could not be started. Plug them in again, or choose other ones.`
        : `The ${devices} could not be started. Plug it in again, or choose another one.`;
  }
}
