//! Calls on API keys: made, listed, replaced, revoked.
//!
//! Whoever may do this may make a key for every role, so `api_keys.manage` is worth as much as the
//! strongest of them; a key that is bound to channels never has it.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::Vault;
use super::input::{self, check_text};
use super::token::Call;
use super::token_row::{self, TokenRow, TokenView};
use crate::backup::ledger::LedgerEvent;
use crate::commit::View;
use crate::id::TokenId;
use crate::limits::{API_KEY_CHANNELS_MAX, LABEL_BYTES_MAX, OVERLAP_DAYS_MAX};
use crate::policy::{Capability, Period, Policy};
use crate::refusal::{InputError, Refusal};

/// What an API key is to be.
#[derive(Clone, Debug, Default)]
pub struct TokenInput {
    /// A role of the policy, or a reserved one.
    pub role: String,
    /// What the operator calls it: the program that has it. Not a person's name: it is shown in
    /// lists, and outlives whoever it would name.
    pub label: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Channels whose people alone it reaches; everybody, where empty.
    pub channels: Vec<String>,
}

/// A key that took another's place.
#[derive(Clone)]
pub struct Rotated {
    /// The new key.
    pub key: TokenView,
    /// Its secret, in this answer and nowhere else.
    pub secret: String,
    /// The old key, with the end that it has now.
    pub old: TokenView,
}

fn check(policy: &Policy, input: &TokenInput, now: Timestamp) -> Result<(), Refusal> {
    let mut errors: Vec<InputError> = Vec::new();
    if policy.role(&input.role).is_none() {
        let known: Vec<&str> = policy.roles().map(|role| role.name.as_str()).collect();
        let detail = format!("one of the roles {}", known.join(", "));
        errors.push(input::error("/role", "unknown_role", detail));
    }
    if input.expires_at.is_some_and(|end| end <= now) {
        let detail = "an instant in the future";
        errors.push(input::error("/expires_at", "past", detail));
    }
    // A label is printed on terminals.
    if input.label.len() > LABEL_BYTES_MAX || input.label.chars().any(char::is_control) {
        let detail = format!("at most {LABEL_BYTES_MAX} bytes, without control characters");
        errors.push(input::error("/label", "label", detail));
    }
    if input.channels.len() > API_KEY_CHANNELS_MAX {
        let detail = format!("at most {API_KEY_CHANNELS_MAX} channels");
        errors.push(input::error("/channels", "length", detail));
    }
    for (index, channel) in input.channels.iter().enumerate() {
        let pointer = format!("/channels/{index}");
        if channel.chars().any(char::is_control) {
            let detail = "without control characters";
            errors.push(input::error(pointer, "channel", detail));
        } else {
            check_text(&mut errors, &pointer, channel, LABEL_BYTES_MAX);
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(errors)),
    }
}

impl Vault {
    /// Makes an API key for a role; its secret `vk_…` is in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// As for [`Vault::make_token`].
    pub fn create_token(
        &self,
        call: &Call<'_>,
        role: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(TokenView, String), Refusal> {
        let input = TokenInput {
            role: role.to_owned(),
            expires_at,
            ..TokenInput::default()
        };
        self.make_token(call, input)
    }

    /// Makes an API key; its secret `vk_…` is in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Invalid`] for a role that there is not, an end in the
    /// past, a label or channels that do not fit; [`Refusal::TooLarge`] beyond 10,000 keys that
    /// work.
    pub fn make_token(
        &self,
        call: &Call<'_>,
        mut input: TokenInput,
    ) -> Result<(TokenView, String), Refusal> {
        input.channels.sort();
        input.channels.dedup();
        self.write(call, "api_keys.create", move |txn, policy, context, _| {
            context
                .principal
                .require(policy, Capability::ApiKeysManage)?;
            check(policy, &input, txn.now())?;
            let row = TokenRow {
                token: TokenId::generate(txn.entropy()),
                role: input.role.clone(),
                created_at: txn.now().as_millisecond(),
                created_by: context.principal.token(),
                label: input.label.clone(),
                channels: input.channels.clone(),
                expires_at: input.expires_at.map(Timestamp::as_millisecond),
                revoked_at: None,
                replaces: None,
                used: None,
            };
            let secret = token_row::add(txn, &row)?;
            Ok((row.view(txn.now(), None, None), secret))
        })
    }

    /// Every API key, without secrets, oldest first.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn list_tokens(&self, call: &Call<'_>) -> Result<Vec<TokenView>, Refusal> {
        self.read(
            call,
            "api_keys.list",
            None,
            |snapshot, policy, context, _| {
                context
                    .principal
                    .require(policy, Capability::ApiKeysManage)?;
                let rows = token_row::all(snapshot)?;
                let successors: HashMap<TokenId, TokenId> = rows
                    .iter()
                    .filter_map(|(_, row)| Some((row.replaces?, row.token)))
                    .collect();
                let mut views: Vec<TokenView> = rows
                    .into_iter()
                    .map(|(hash, row)| {
                        let successor = successors.get(&row.token).copied();
                        row.view(snapshot.now(), successor, self.uses.hour(&hash))
                    })
                    .collect();
                views.sort_by_key(|view| view.created_at);
                Ok(views)
            },
            |views| views,
        )
    }

    /// Puts a new key in the place of another: the same role, label and channels, and the same time
    /// to live, if it has an end. The old one, and every session that it made, ends after
    /// `overlap`; with none, before this returns.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`]; [`Refusal::Conflict`] for a key that is over, or has a successor
    /// already, or whose role the policy no longer has; [`Refusal::Invalid`] for an overlap beyond
    /// 30 days; [`Refusal::RoleDenied`].
    pub fn rotate_token(
        &self,
        call: &Call<'_>,
        token: TokenId,
        overlap: &Period,
    ) -> Result<Rotated, Refusal> {
        let overlap = overlap.clone();
        let uses = self.uses.clone();
        self.write(call, "api_keys.rotate", move |txn, policy, context, _| {
            context
                .principal
                .require(policy, Capability::ApiKeysManage)?;
            let now = txn.now();
            let end = overlap.add_to(now);
            let rows = token_row::all(txn)?;
            let found = rows.iter().find(|(_, row)| row.token == token);
            let (hash, mut old) = found.cloned().ok_or(Refusal::NotFound("API key"))?;
            if end > now + SignedDuration::from_hours(24 * OVERLAP_DAYS_MAX) {
                let detail = format!("between PT0S and P{OVERLAP_DAYS_MAX}D");
                let error = input::error("/overlap", "out_of_range", detail);
                return Err(Refusal::Invalid(vec![error]));
            }
            if !old.valid(now) {
                return Err(Refusal::Conflict(
                    "this key has ended already; make a new one".into(),
                ));
            }
            if let Some((_, next)) = rows.iter().find(|(_, row)| row.replaces == Some(token)) {
                return Err(Refusal::Conflict(format!(
                    "{} has taken the place of this key already",
                    next.token
                )));
            }
            if policy.role(&old.role).is_none() {
                return Err(Refusal::Conflict(
                    "the policy no longer has the role of this key".into(),
                ));
            }
            let lifetime = old.expires_at.map(|end| end - old.created_at);
            let new = TokenRow {
                token: TokenId::generate(txn.entropy()),
                created_at: now.as_millisecond(),
                created_by: context.principal.token(),
                expires_at: lifetime.map(|lifetime| now.as_millisecond() + lifetime),
                revoked_at: None,
                replaces: Some(token),
                used: None,
                ..old.clone()
            };
            let secret = token_row::add(txn, &new)?;
            let end = end.as_millisecond();
            old.expires_at = Some(old.expires_at.map_or(end, |own| own.min(end)));
            old.store(txn, &hash)?;
            // Readers under way with a key that ends now end before this is acknowledged.
            txn.revoke_all();
            Ok(Rotated {
                secret,
                old: old.view(now, Some(new.token), uses.hour(&hash)),
                key: new.view(now, None, None),
            })
        })
    }

    /// Ends an API key: from the answer on it opens nothing. One that was revoked before stays
    /// revoked since then.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::RoleDenied`].
    pub fn revoke_token(&self, call: &Call<'_>, token: TokenId) -> Result<(), Refusal> {
        self.write(call, "api_keys.revoke", move |txn, policy, context, _| {
            context
                .principal
                .require(policy, Capability::ApiKeysManage)?;
            let rows = token_row::all(txn)?;
            let found = rows.into_iter().find(|(_, row)| row.token == token);
            let (hash, mut row) = found.ok_or(Refusal::NotFound("API key"))?;
            if row.revoked_at.is_none() {
                row.revoked_at = Some(txn.now().as_millisecond());
                txn.keep_in_ledger(LedgerEvent::ApiKeyRevoked { token });
            }
            row.store(txn, &hash)?;
            txn.revoke_all();
            Ok(())
        })
    }

    /// Writes when keys were last used, where the store does not know it yet. A mark that is lost
    /// is made again by the next call, so what goes wrong here stops nobody.
    pub(super) fn store_uses(&self) {
        // An hour that is not to be believed would hide every later one.
        let uses = self.uses.unstored();
        if uses.is_empty() || self.engine.clock_leads() {
            return;
        }
        let written = uses.clone();
        let done = self
            .engine
            .submit(move |txn| token_row::store_uses(txn, &written));
        if done.is_ok() {
            self.uses.stored(&uses);
        }
    }
}
