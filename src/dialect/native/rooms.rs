//! What is told of a room and said in it, as it is written.

use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::{Id, reason_word};
use crate::signal::{
    Broadcast, BroadcastReceipt, KnockNews, KnockState, Loss, Member, Profile, RoleChange,
    RoomSnapshot, SessionId, Settings, SettingsChange, Standing, State, StateChange, StateEntry,
};

#[derive(Serialize)]
pub(super) struct RoomFields<'a> {
    room: &'a str,
    version: u64,
    #[serde(flatten)]
    standing: StandingFields,
    settings: SettingsFields,
    members: Vec<MemberFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    knocks: Option<Vec<ProfileFields<'a>>>,
    state: Vec<EntryFields<'a>>,
}

pub(super) fn room_fields(room: &RoomSnapshot) -> RoomFields<'_> {
    RoomFields {
        room: &room.room,
        version: room.version,
        standing: standing_fields(room.standing),
        settings: settings_fields(room.settings),
        members: room.members.iter().map(member_fields).collect(),
        knocks: room
            .knocks
            .as_ref()
            .map(|knocks| knocks.iter().map(|it| profile_fields(it)).collect()),
        state: room.state.iter().map(|it| entry_fields(it)).collect(),
    }
}

#[derive(Serialize)]
pub(super) struct MemberFields<'a> {
    session: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    role: &'static str,
    polite: bool,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    continues: Option<u64>,
}

pub(super) fn member_fields(member: &Member) -> MemberFields<'_> {
    let (state, reason) = match member.state {
        State::Joined => ("joined", None),
        State::Suspended => ("suspended", None),
        State::Left(reason) => ("left", Some(reason_word(reason))),
    };
    MemberFields {
        session: Id(member.profile.session),
        name: member.profile.name.as_deref(),
        data: member.profile.data.as_deref(),
        state,
        reason,
        role: member.role.name(),
        polite: member.polite,
        epoch: member.epoch,
        continues: member.continues,
    }
}

#[derive(Serialize)]
pub(super) struct RoleFields<'a> {
    seq: Option<u64>,
    room: &'a str,
    version: u64,
    #[serde(flatten)]
    standing: StandingFields,
}

pub(super) fn role_fields(seq: Option<u64>, change: &RoleChange) -> RoleFields<'_> {
    RoleFields {
        seq,
        room: &change.room,
        version: change.version,
        standing: standing_fields(change.standing),
    }
}

#[derive(Serialize)]
struct StandingFields {
    role: &'static str,
    permissions: Vec<&'static str>,
}

fn standing_fields(standing: Standing) -> StandingFields {
    StandingFields {
        role: standing.role.name(),
        permissions: standing.permissions.names().collect(),
    }
}

#[derive(Serialize)]
pub(super) struct BroadcastFields<'a> {
    seq: Option<u64>,
    room: &'a str,
    from: Id,
    nr: u64,
    body: &'a RawValue,
}

pub(super) fn broadcast_fields(seq: Option<u64>, broadcast: &Broadcast) -> BroadcastFields<'_> {
    BroadcastFields {
        seq,
        room: &broadcast.room,
        from: Id(broadcast.from),
        nr: broadcast.number,
        body: &broadcast.body,
    }
}

#[derive(Serialize)]
pub(super) struct ReceiptFields<'a> {
    seq: Option<u64>,
    re: u64,
    room: &'a str,
    delivered: usize,
    undeliverable: Vec<LossFields>,
}

pub(super) fn receipt_fields(seq: Option<u64>, receipt: &BroadcastReceipt) -> ReceiptFields<'_> {
    ReceiptFields {
        seq,
        re: receipt.re,
        room: &receipt.room,
        delivered: receipt.delivered,
        undeliverable: receipt.undeliverable.iter().map(loss_fields).collect(),
    }
}

#[derive(Serialize)]
struct LossFields {
    session: Id,
    reason: &'static str,
}

fn loss_fields((session, loss): &(SessionId, Loss)) -> LossFields {
    LossFields {
        session: Id(*session),
        reason: match loss {
            Loss::Ended(reason) => reason_word(*reason),
            Loss::Overloaded => "overloaded",
        },
    }
}

#[derive(Serialize)]
struct SettingsFields {
    locked: bool,
    limit: usize,
    duplicates: &'static str,
}

fn settings_fields(settings: Settings) -> SettingsFields {
    SettingsFields {
        locked: settings.locked,
        limit: settings.limit,
        duplicates: settings.duplicates.name(),
    }
}

#[derive(Serialize)]
pub(super) struct SettingsChangeFields<'a> {
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    re: Option<u64>,
    room: &'a str,
    version: u64,
    settings: SettingsFields,
}

pub(super) fn settings_change_fields(
    seq: Option<u64>,
    change: &SettingsChange,
) -> SettingsChangeFields<'_> {
    SettingsChangeFields {
        seq,
        re: change.re,
        room: &change.room,
        version: change.version,
        settings: settings_fields(change.settings),
    }
}

#[derive(Serialize)]
struct ProfileFields<'a> {
    session: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

fn profile_fields(profile: &Profile) -> ProfileFields<'_> {
    ProfileFields {
        session: Id(profile.session),
        name: profile.name.as_deref(),
        data: profile.data.as_deref(),
    }
}

#[derive(Serialize)]
pub(super) struct KnockFields<'a> {
    seq: Option<u64>,
    room: &'a str,
    #[serde(flatten)]
    profile: ProfileFields<'a>,
    state: &'static str,
}

pub(super) fn knock_fields(seq: Option<u64>, news: &KnockNews) -> KnockFields<'_> {
    KnockFields {
        seq,
        room: &news.room,
        profile: profile_fields(&news.profile),
        state: match news.state {
            KnockState::Waiting => "waiting",
            KnockState::Admitted => "admitted",
            KnockState::Denied => "denied",
            KnockState::Withdrawn => "withdrawn",
            KnockState::Expired => "expired",
        },
    }
}

#[derive(Serialize)]
struct EntryFields<'a> {
    key: &'a str,
    value: Option<&'a RawValue>,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Id>,
}

fn entry_fields(entry: &StateEntry) -> EntryFields<'_> {
    EntryFields {
        key: &entry.key,
        value: entry.value.as_deref(),
        version: entry.version,
        by: entry.by.map(Id),
    }
}

#[derive(Serialize)]
pub(super) struct StateFields<'a> {
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    re: Option<u64>,
    room: &'a str,
    version: u64,
    entries: Vec<EntryFields<'a>>,
}

pub(super) fn state_fields(seq: Option<u64>, change: &StateChange) -> StateFields<'_> {
    StateFields {
        seq,
        re: change.re,
        room: &change.room,
        version: change.version,
        entries: change.entries.iter().map(|it| entry_fields(it)).collect(),
    }
}
