import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { copyText } from "../controls/copy_link.js";
import {
  CameraIcon,
  CameraOffIcon,
  ChatIcon,
  HangUpIcon,
  KeyboardIcon,
  LinkIcon,
  LockIcon,
  MicrophoneIcon,
  MicrophoneOffIcon,
  OpenLockIcon,
  ScreenIcon,
  SettingsIcon,
} from "../controls/icons.js";
import { ToggleButton } from "../controls/toggle_button.js";
import { linkTo } from "../state/application.js";
import type { Call } from "../state/call.js";

interface ToolbarProps {
  readonly call: Call;
  readonly room: string;
  readonly hangUp: () => void;
}

/** What one does in a call, in the order of how often. */
export function Toolbar({ call, room, hangUp }: ToolbarProps): JSX.Element {
  return (
    <footer class="toolbar" aria-label="Call controls">
      <div class="toolbar-group">
        <CopyButton call={call} room={room} />
        {call.door.isKeeper.value && <LockButton call={call} />}
      </div>
      <div class="toolbar-group">
        <MediaButtons call={call} />
        <button
          type="button"
          class="round-button round-button-danger"
          aria-label="Hang up"
          title="Hang up"
          onClick={hangUp}
        >
          <HangUpIcon />
        </button>
      </div>
      <div class="toolbar-group">
        <PanelButtons call={call} />
      </div>
    </footer>
  );
}

function MediaButtons({ call }: { readonly call: Call }): JSX.Element {
  const { capture } = call;
  const audible = capture.audible.value;
  const seen = capture.camera.value !== null;
  return (
    <>
      <ToggleButton
        label="Microphone"
        shortcut="m"
        pressed={audible}
        warning={!audible}
        onClick={() => void call.toggleMicrophone()}
      >
        {audible ? <MicrophoneIcon /> : <MicrophoneOffIcon />}
      </ToggleButton>
      <ToggleButton
        label="Camera"
        shortcut="v"
        pressed={seen}
        warning={!seen}
        onClick={() => void call.toggleCamera()}
      >
        {seen ? <CameraIcon /> : <CameraOffIcon />}
      </ToggleButton>
      {canShareScreen() && (
        <ToggleButton
          label="Share screen"
          shortcut="s"
          pressed={capture.screen.value !== null}
          active={capture.screen.value !== null}
          onClick={() => void call.toggleScreen()}
        >
          <ScreenIcon />
        </ToggleButton>
      )}
    </>
  );
}

function LockButton({ call }: { readonly call: Call }): JSX.Element {
  const locked = call.door.locked.value;
  return (
    <ToggleButton
      label="Lock"
      pressed={locked}
      active={locked}
      onClick={() => call.door.toggleLock()}
    >
      {locked ? <LockIcon /> : <OpenLockIcon />}
    </ToggleButton>
  );
}

function PanelButtons({ call }: { readonly call: Call }): JSX.Element {
  return (
    <>
      <ToggleButton
        label="Chat"
        shortcut="c"
        pressed={call.chat.open.value}
        active={call.chat.open.value}
        count={call.chat.unread.value}
        onClick={() => call.toggleChat()}
      >
        <ChatIcon />
      </ToggleButton>
      <ToggleButton
        label="Devices"
        pressed={call.panel.value === "devices"}
        active={call.panel.value === "devices"}
        onClick={() => call.togglePanel("devices")}
      >
        <SettingsIcon />
      </ToggleButton>
      <ToggleButton
        label="Keyboard shortcuts"
        shortcut="?"
        class="wide-only"
        pressed={call.panel.value === "shortcuts"}
        active={call.panel.value === "shortcuts"}
        onClick={() => call.togglePanel("shortcuts")}
      >
        <KeyboardIcon />
      </ToggleButton>
    </>
  );
}

function CopyButton({ call, room }: Pick<ToolbarProps, "call" | "room">): JSX.Element {
  const copied = useSignal(false);
  const copy = async () => {
    const link = linkTo(room);
    copied.value = await copyText(link);
    call.notices.say(copied.value ? "The link is copied." : `Copy this link: ${link}`);
  };
  return (
    <button
      type="button"
      class="round-button"
      aria-label="Copy link"
      title="Copy link"
      onClick={() => void copy()}
    >
      <LinkIcon />
    </button>
  );
}

/** Phones cannot, and nothing can on a page that is not secure. */
function canShareScreen(): boolean {
  return "mediaDevices" in navigator && "getDisplayMedia" in navigator.mediaDevices;
}
