//! What the machine takes and gives: facts, what was heard, what is said and done, and how well it has to be
//! known who talks for each.

use crate::dialogue::{Control, Intent};
use crate::id::RequestId;
use crate::policy::RestrictionGround;
use crate::request::{Level, RequestKind};
use crate::talk::{FieldId, Form, Meaning, Parts};
use crate::verification::Verdict;

/// What a turn depends on, beside the conversation and what was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Whether nobody else reads along.
    pub(super) private: bool,
    /// Whether it is known whose data this is about.
    pub(super) known: bool,
    /// Whether codes can be sent.
    pub(super) can_send: bool,
    /// Whether another code may be sent within this hour.
    pub(super) sends_left: bool,
    /// Whether another request may be taken.
    pub(super) room: bool,
    /// Whether what was typed is of the kind that was asked for.
    pub(super) fits: bool,
    /// Whether there is direct marketing at all.
    pub(super) marketing: bool,
    /// Addresses on file.
    pub(super) addresses: Vec<FieldId>,
    /// Purposes whose consent stands.
    pub(super) consents: Vec<u16>,
    /// Purposes that can be objected to, and were not yet.
    pub(super) objectionable: Vec<u16>,
    /// Fields that can be corrected here.
    pub(super) fields: Vec<FieldId>,
    /// Those among them that somebody has to look at first: addresses, and what is held.
    pub(super) by_hand: Vec<FieldId>,
    /// Addresses of these that two codes decide as well: one to an address on file and one to the new.
    pub(super) coded: Vec<FieldId>,
    /// Collections in which there is something that can be erased.
    pub(super) parts: Vec<u16>,
    /// Whether there is something in others than one: only then can some of it be erased.
    pub(super) several: bool,
    /// Requests that are open.
    pub(super) open: Vec<RequestId>,
    /// Whether the person can be given a link to pick a copy up.
    pub(super) link: bool,
    /// Whether they have yet to be shown the notice that tells what the policy says.
    pub(super) notice: bool,
    /// Whether the notice that was shown last tells that.
    pub(super) same_notice: bool,
    /// Whether the request at hand can be carried out from where it stands.
    pub(super) ready: bool,
}

/// What came in.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// A choice of the last message.
    Choice(Meaning),
    /// A choice that is not.
    Stale,
    /// One of the words that always work.
    Control(Control),
    /// What a text asks for, the likeliest first; at least one.
    Wants(Vec<Intent>),
    /// What it may ask for: a bot's guess is among it, and decides nothing.
    Maybe(Vec<Intent>),
    /// What came of a code.
    Code(Verdict),
    /// Any other text.
    Text,
}

/// What is said. What it says of the person is filled in from the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Help,
    Left,
    TakenBack,
    Language,
    Reach,
    Stale,
    NotUnderstood,
    Which,
    Privately,
    Registered,
    Overfull,
    ChooseAddress,
    CodeSent,
    NoCode,
    CodeWrong(u8),
    CodeOver,
    CodesSpent,
    Verified,
    ByHand,
    Unknown,
    UnknownWrite,
    IfKnown,
    NoAddress,
    MarketingStopped,
    MarketingNone,
    MarketingAddress,
    MarketingSuppressed,
    Summary,
    VerifyToSee,
    Values,
    Answered,
    Why,
    StatementAt,
    Recipients,
    Choices,
    WithdrawWhich,
    Withdrawn(u16),
    WithdrawNone,
    ObjectWhich,
    Objected(u16),
    ObjectNone,
    RestrictWhy,
    Restricted,
    CorrectWhich,
    CorrectType,
    CorrectInvalid,
    CorrectConfirm,
    Corrected,
    CorrectWords,
    Checked,
    Consequences,
    EraseFinal,
    EraseNot,
    Erased,
    PartsWhich,
    PartsConsequences,
    PartsErased,
    Form,
    Package,
    OwnView,
    PassedOn,
    Requests,
    CancelWhich,
    Cancelled,
    Complain,
    Notice,
    NoticeWaits,
    NoticeNo,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The request of the intent is registered, if there is none of its kind that waits.
    Register,
    /// The same for a copy in this form, whatever the intent is.
    RegisterCopy(Form),
    /// A code goes to this address on file.
    Send(FieldId),
    /// A code goes to what was typed, if anybody is known by it.
    SendTyped,
    /// A code goes to the address that was typed to stand in the place of one on file.
    SendNew,
    /// What was typed gets no direct marketing.
    Suppress,
    /// Every direct marketing ends.
    StopMarketing,
    /// It is known who asks.
    Verified,
    /// Somebody looks at who asks.
    ByHand,
    /// Somebody looks at the matter.
    Review,
    /// What was typed is put beside the request.
    Add,
    /// The request is fulfilled by what was said.
    Answer,
    /// A consent is withdrawn.
    Withdraw(u16),
    /// An objection.
    Object(u16),
    /// A restriction.
    Restrict(RestrictionGround),
    /// The value that was typed replaces what stands in the field.
    Change,
    /// Everything is erased.
    Erase,
    /// What is in these collections is erased, and nothing else.
    EraseParts(Parts),
    /// The request is about these collections alone, or about some that are not named yet.
    Narrow(Parts),
    /// A copy is made and handed over.
    Package(Form),
    /// A request is taken back.
    TakeBack(RequestId),
    /// The notice was shown, and they went on.
    Notice,
}

impl Effect {
    /// How well it has to be known who talks.
    pub(super) const fn needs(&self) -> Level {
        match self {
            Self::SendTyped | Self::Suppress | Self::Notice => Level::L0,
            Self::Register
            | Self::RegisterCopy(_)
            | Self::Send(_)
            | Self::StopMarketing
            | Self::ByHand
            | Self::Review
            | Self::Add
            | Self::Answer
            | Self::Withdraw(_)
            | Self::Object(_)
            | Self::TakeBack(_) => Level::L1,
            Self::Verified
            | Self::SendNew
            | Self::Restrict(_)
            | Self::Change
            | Self::Erase
            | Self::EraseParts(_)
            | Self::Narrow(_)
            | Self::Package(_) => Level::L2,
        }
    }

    /// Whether it sends a code.
    pub(super) const fn sends(&self) -> bool {
        matches!(self, Self::Send(_) | Self::SendTyped | Self::SendNew)
    }

    /// Whether it cannot be undone, so that it takes a choice that was sent.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Change | Self::Erase | Self::EraseParts(_))
    }
}

impl Say {
    /// How well it has to be known who talks to be told this.
    pub(super) const fn needs(self) -> Level {
        match self {
            Self::Values
            | Self::Consequences
            | Self::PartsWhich
            | Self::PartsConsequences
            | Self::PartsErased
            | Self::CorrectConfirm
            | Self::CorrectWhich => Level::L2,
            Self::Summary
            | Self::Recipients
            | Self::Choices
            | Self::Requests
            | Self::CancelWhich
            | Self::ChooseAddress
            | Self::WithdrawWhich
            | Self::ObjectWhich => Level::L1,
            _ => Level::L0,
        }
    }
}

/// What a turn comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Next {
    /// Whether it was a matter of rights.
    pub(super) handled: bool,
    pub(super) say: Vec<Say>,
    pub(super) effects: Vec<Effect>,
    /// What the person may choose from now on.
    pub(super) offers: Vec<Meaning>,
    /// Whether everything stays as it was, the choices of the last message too.
    pub(super) stays: bool,
    /// Whether what was written waits for the notice.
    pub(super) holds: bool,
    /// Messages that waited for it and go to the bot now.
    pub(super) replay: Vec<String>,
}

/// The kind of request that an intent makes.
pub(super) const fn kind(intent: Intent) -> Option<RequestKind> {
    Some(match intent {
        Intent::Access => RequestKind::Access,
        Intent::Recipients => RequestKind::Recipients,
        Intent::Correct => RequestKind::Rectify,
        Intent::Erase => RequestKind::Erase,
        Intent::Restrict => RequestKind::Restrict,
        Intent::Object | Intent::StopMarketing => RequestKind::Object,
        Intent::Withdraw => RequestKind::Withdraw,
        Intent::Download => RequestKind::Portability,
        Intent::HumanDecision => RequestKind::HumanReview,
        Intent::Why
        | Intent::Choices
        | Intent::Status
        | Intent::CancelRequest
        | Intent::Complain => return None,
    })
}
