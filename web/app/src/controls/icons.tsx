import type { ComponentChildren, JSX } from "preact";

/** An icon beside a label, or on a button that has one. */
function icon(children: ComponentChildren): () => JSX.Element {
  return function Icon() {
    return (
      <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        {children}
      </svg>
    );
  };
}

const microphone = (
  <>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
  </>
);
const camera = (
  <>
    <rect x="3" y="6.5" width="12" height="11" rx="2.5" />
    <path d="m15 11 6-3.5v9L15 13" />
  </>
);
const stroke = <path class="icon-strike" d="M4 4l16 16" />;

export const MicrophoneIcon = icon(microphone);
export const MicrophoneOffIcon = icon(
  <>
    {microphone}
    {stroke}
  </>,
);
export const CameraIcon = icon(camera);
export const CameraOffIcon = icon(
  <>
    {camera}
    {stroke}
  </>,
);
export const ScreenIcon = icon(
  <>
    <rect x="3" y="4.5" width="18" height="12" rx="2.5" />
    <path d="M8.5 20h7M12 13.5v-5.5M9.5 10 12 7.5l2.5 2.5" />
  </>,
);
export const ChatIcon = icon(
  <path d="M5.5 4.5h13a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2H12l-4.5 3.5V17h-2a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2Z" />,
);
export const LinkIcon = icon(
  <path d="M10 14a4 4 0 0 0 5.7 0l3.1-3.1a4 4 0 0 0-5.7-5.7L12 6.3M14 10a4 4 0 0 0-5.7 0l-3.1 3.1a4 4 0 0 0 5.7 5.7l1.1-1.1" />,
);
export const HangUpIcon = icon(
  <path
    class="icon-solid"
    d="M12 9c-3.6 0-6.8 1-9 2.8-.7.6-.8 1.6-.4 2.4l.9 1.7c.4.8 1.4 1.1 2.2.8l2.5-1c.6-.3 1-.9 1-1.6v-1.4a11 11 0 0 1 5.6 0v1.4c0 .7.4 1.3 1 1.6l2.5 1c.8.3 1.8 0 2.2-.8l.9-1.7c.4-.8.3-1.8-.4-2.4C18.8 10 15.600 9 12 9Z"
  />,
);
export const SettingsIcon = icon(
  <>
    <path d="M4 7h9M18.500 7H20M4 12h1.500M11 12h9M4 17h7M16.500 17H20" />
    <circle cx="15.700" cy="7" r="2.300" />
    <circle cx="8.200" cy="12" r="2.300" />
    <circle cx="13.700" cy="17" r="2.300" />
  </>,
);
export const KeyboardIcon = icon(
  <>
    <rect x="2.5" y="6" width="19" height="12" rx="2.5" />
    <path d="M6.500 10h.01M10 10h.01M14 10h.01M17.500 10h.01M8 14h8" />
  </>,
);
const padlock = <rect x="5" y="11" width="14" height="9.5" rx="2.5" />;
export const LockIcon = icon(
  <>
    {padlock}
    <path d="M8 11V8a4 4 0 0 1 8 0v3" />
  </>,
);
export const OpenLockIcon = icon(
  <>
    {padlock}
    <path d="M8 11V8a4 4 0 0 1 7.600-1.700" />
  </>,
);
export const RemoveIcon = icon(
  <>
    <circle cx="10" cy="8" r="3.500" />
    <path d="M3.500 19.500a6.500 6.500 0 0 1 13 0M15.500 11h5.500" />
  </>,
);
export const CloseIcon = icon(<path d="m6 6 12 12M18 6 6 18" />);
export const SendIcon = icon(
  <path d="M4.500 12 20 4.500 15 20l-3.500-6.500L4.500 12Zm7 1.500L20 4.500" />,
);
export const DirectIcon = icon(<path d="M4 12h16M7.5 8.5 4 12l3.5 3.5M16.5 8.5 20 12l-3.5 3.5" />);
export const SameNetworkIcon = icon(
  <path d="M4 9.500a12 12 0 0 1 16 0M7 13a7.500 7.500 0 0 1 10 0M10 16.500a3 3 0 0 1 4 0" />,
);
export const ThroughNatIcon = icon(<path d="M4 9h14l-3.500-3.500M20 15H6l3.500 3.500" />);
export const RelayedIcon = icon(
  <>
    <rect x="8.500" y="4" width="7" height="6" rx="1.500" />
    <path d="M12 10v4M5 19a7 5 0 0 1 14 0M3.500 19h3M17.500 19h3" />
  </>,
);
