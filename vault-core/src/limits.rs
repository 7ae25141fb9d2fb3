//! Every limit of the vault, with its unit in the name.
//!
//! Knows nothing of why a caller came near one; each is checked before work is done.

/// Longest plaintext in one envelope.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Longest stored row of ours that is decoded; a keyset of a person with many periods is the largest.
pub const ROW_BYTES_MAX: usize = 4 << 20;
/// People who may share one look-up value (a family's telephone).
pub const SHARED_LOOKUP_MAX: usize = 32;
/// Look-up values one person may have.
pub const LOOKUPS_PER_PERSON_MAX: usize = 256;
/// Pseudonyms that are issued of one person: they share the room of look-up values.
pub const PSEUDONYMS_PER_PERSON_MAX: usize = 64;
/// Keys in one person's keyset.
pub const KEYS_PER_PERSON_MAX: usize = 4_096;
/// Entries in a leaf of a shred map before it splits.
pub const LEAF_ENTRIES_MAX: usize = 64;
/// Key slots of a vault.
pub const SLOTS_MAX: usize = 16;
/// Shares of one slot.
pub const SHARES_MAX: usize = 15;
/// Shortest content of a key file: as many bits as a key has.
pub const KEY_FILE_BYTES_MIN: usize = 32;
/// Longest content of a key file.
pub const KEY_FILE_BYTES_MAX: usize = 8_192;
/// Shortest passphrase, in characters.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 12;
/// Longest passphrase.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;
/// Longest label of a slot or name of a channel.
pub const LABEL_BYTES_MAX: usize = 128;
/// Longest identity of a user on a channel.
pub const CHANNEL_USER_BYTES_MAX: usize = 1_024;
/// Characters of what a person says that are looked at for what they ask for.
pub const ASKED_CHARACTERS_MAX: usize = 4_000;
/// Words of it: who asks for something does so at once.
pub const ASKED_WORDS_MAX: usize = 200;
/// Corrections of held data that wait for the end of the hold, of one person.
pub const HELD_CORRECTIONS_MAX: usize = 100;
/// Digits of a code that is sent to an address on file.
pub const CODE_DIGITS: usize = 6;
/// Minutes for which it is good.
pub const CODE_MINUTES: i64 = 10;
/// Wrong answers after which it is good no more.
pub const CODE_TRIES_MAX: u8 = 5;
/// Codes that one person is sent within an hour, whoever asks for them.
pub const CODES_PER_HOUR_MAX: usize = 3;
/// Hours for which a link to pick a copy up is good.
pub const PICKUP_HOURS: i64 = 24;
/// Wrong codes after which a link is good no more: three codes' worth.
pub const PICKUP_TRIES_MAX: u8 = 3 * CODE_TRIES_MAX;
/// Links that a person is given within [`PICKUP_HOURS`], those that are used or over among them; beyond it somebody
/// hands the copy over.
pub const PICKUPS_PER_PERSON_MAX: usize = 8;
/// Links of everybody at a time. Each call to one looks at the keys of all, 68 bytes each.
pub const PICKUPS_MAX: usize = 10_000;
/// Minutes after its last turn in which a conversation about rights is over.
pub const DIALOGUE_MINUTES: i64 = 15;
/// Conversations about rights of one person at a time; beyond it the one that was over first goes.
pub const DIALOGUES_PER_PERSON_MAX: usize = 8;
/// Answers of a conversation that are remembered, so that a message which comes again gets the same one.
pub const DIALOGUE_ANSWERS_MAX: usize = 16;
/// Bytes of them together, but always the newest.
pub const DIALOGUE_ANSWERS_BYTES: usize = 64 << 10;
/// Choices of one message of a conversation: more no chat shows.
pub const DIALOGUE_CHOICES_MAX: usize = 10;
/// Collections that somebody chooses to be erased at a time: as many as one message offers beside the two choices that
/// end it.
pub const DIALOGUE_PARTS_MAX: usize = DIALOGUE_CHOICES_MAX - 2;
/// Messages of a conversation that wait for the notice; of more, the newest.
pub const DIALOGUE_HELD_MAX: usize = 16;
/// Longest text of a turn; how much of it is looked at is [`ASKED_CHARACTERS_MAX`].
pub const DIALOGUE_TEXT_BYTES_MAX: usize = 64 << 10;
/// Longest name of a conversation or a message on its channel.
pub const DIALOGUE_NAME_BYTES_MAX: usize = 1_024;
/// Longest text of one message to a person, in characters: chats show about so much.
pub const DIALOGUE_MESSAGE_CHARACTERS_MAX: usize = 3_500;
/// Characters of a value that is shown in a conversation; what is longer is in the copy.
pub const DIALOGUE_VALUE_CHARACTERS_MAX: usize = 200;
/// Characters of what people call the data in a collection, on a choice.
pub const DIALOGUE_LABEL_CHARACTERS_MAX: usize = 60;
/// Conversations of people who are not known on their channel, in memory; beyond it the one that is over first
/// goes.
pub const STRANGERS_MAX: usize = 10_000;
/// Closures waiting for the writer.
pub const QUEUE_MAX: usize = 4_096;
/// Closures in one commit.
pub const BATCH_MAX: usize = 512;
/// Rows that an erasure deletes in its own transaction; the sweeper deletes the others, whose keys
/// are gone already.
pub const ERASE_ROWS_MAX: usize = 10_000;
/// Records in one append.
pub const APPEND_RECORDS_MAX: usize = 1_000;
/// Mistakes in one body that are told: whoever sends a megabyte of them is not sent as many back.
pub const INPUT_ERRORS_MAX: usize = 100;
/// Records in one page of a list.
pub const PAGE_RECORDS_MAX: usize = 1_000;
/// Bytes of one record's values together.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Entries of a `_meta` list.
pub const META_ENTRIES_MAX: usize = 64;
/// Longest text in `_meta`.
pub const META_TEXT_BYTES_MAX: usize = 256;
/// How old a reader's view becomes at most, in milliseconds: what goes on longer takes another.
pub const READ_TXN_MILLISECONDS_MAX: i64 = 10_000;
/// Records of many people that one answer holds at most, if a limit is named.
pub const BULK_LIMIT_MAX: usize = 1_000_000;
/// Records of many people that are handed over at a time.
pub const BULK_SLICE_RECORDS: usize = 512;
/// Bytes of them, after which the slice ends with the record at hand.
pub const BULK_SLICE_BYTES: usize = 256 << 10;
/// Metadata rows that are looked at for one slice.
pub const BULK_SLICE_ROWS: usize = 16_384;
/// Metadata rows of one person that are read at a time.
pub const BULK_PAGE_ROWS: usize = 256;
/// Leaves of the people map that are walked at a time.
pub const BULK_LEAVES: usize = 16;
/// Records of many people that one commit changes; of a purge, those that it deletes and seals again,
/// but never less than one person.
pub const BULK_COMMIT_RECORDS: usize = 1_000;
/// Fewer people than these are no group that a count may tell, whatever the policy says.
pub const COUNT_PEOPLE_MIN: u64 = 5;
/// How many it takes unless the policy says.
pub const COUNT_PEOPLE_DEFAULT: u64 = 10;
/// How many it may take.
pub const COUNT_PEOPLE_MAX: u64 = 100_000;
/// Counts that a role is answered on one UTC day, unless the policy says.
pub const COUNTS_PER_DAY_DEFAULT: u32 = 100;
/// How many the policy may allow.
pub const COUNTS_PER_DAY_MAX: u32 = 10_000;
/// Things that people are counted by at a time.
pub const COUNT_BY_MAX: usize = 3;
/// Groups that one count keeps apart, those among them that are not told.
pub const COUNT_GROUPS_MAX: usize = 1_000;
/// Longest text that is a group of its own.
pub const COUNT_TEXT_BYTES_MAX: usize = 128;
/// How long one count goes on.
pub const COUNT_MILLISECONDS_MAX: i64 = 120_000;
/// People whom one commit of a bulk change touches.
pub const BULK_COMMIT_PEOPLE: usize = 256;
/// Leaves of the people map in one pass of the sweeper.
pub const SWEEP_LEAVES_MAX: usize = 1_000;
/// Records that one pass of the sweeper seals again or deletes.
pub const SWEEP_ROWS_MAX: usize = 1_000;
/// People who do not exist that a policy plants.
pub const HONEY_PEOPLE_MAX: usize = 64;
/// Records of one of them in a collection.
pub const HONEY_RECORDS_MAX: usize = 100;
/// Of those, erased ones among them, that are recognised.
pub const HONEY_KNOWN_MAX: usize = 4_096;
/// API keys of a vault.
pub const API_KEYS_MAX: usize = 10_000;
/// Channels that an API key may be bound to.
pub const API_KEY_CHANNELS_MAX: usize = 32;
/// How long a replaced API key goes on working at most.
pub const OVERLAP_DAYS_MAX: i64 = 30;
/// Notices to recipients under one holder of keys: they are sealed again, and go, in one commit.
pub const HOLDER_NOTICES_MAX: usize = 2_000;
/// Holders of notices of one day.
pub const HOLDERS_PER_DAY_MAX: u16 = 10_000;
/// Days after which the keys of notices to recipients are destroyed, whatever became of them.
pub const NOTICE_DAYS_MAX: i64 = 30;
/// Days for which a notice to a recipient is tried; after that somebody has to tell them, and has until
/// [`NOTICE_DAYS_MAX`] to see that.
pub const NOTICE_TRIES_DAYS: i64 = 28;
/// Seconds for which a notice of a correction takes in others before it is sent: whoever mends one field after
/// another is told of once.
pub const NOTICE_GATHER_SECONDS: i64 = 60;
/// Fields that one disclosure names.
pub const DISCLOSED_FIELDS_MAX: usize = 500;
/// Notices that a line of the ledger of disclosures names: the newest.
pub const DISCLOSURE_NOTICES_MAX: usize = 16;
/// Events of a kind that are kept for one person and purpose: consents, objections, restrictions,
/// notices shown.
pub const TOPIC_EVENTS_MAX: usize = 1_000;
/// Longest string of a consent platform that is kept as evidence.
pub const EVIDENCE_BYTES_MAX: usize = 16 << 10;
/// How long a notice that was shown before there is a person is good for one.
pub const DELIVERY_DAYS: i64 = 30;
/// Characters of what stands for it: more than one has, so that what is longer is not even decoded.
pub const DELIVERY_CHARACTERS_MAX: usize = 4_096;
/// Addresses on the suppression list.
pub const SUPPRESSIONS_MAX: u64 = 10_000_000;
/// From how many on somebody is told that it is nearly full.
pub const SUPPRESSIONS_MANY: u64 = SUPPRESSIONS_MAX / 10 * 9;
/// Addresses of one person that one commit puts there: more than anybody is written to at. Taking them away has no
/// such end, since nothing may be left of an objection that is over.
pub const SUPPRESSED_TOGETHER_MAX: usize = 1_000;
/// Requests of one person, closed ones too: each is found by an entry of the index, of which a person has at most
/// [`LOOKUPS_PER_PERSON_MAX`].
pub const REQUESTS_PER_PERSON_MAX: usize = 100;
/// Steps of all requests of a person from which on no other request is taken, and of those that are there none but
/// the steps that end one: for each of these there is room, with that of a package which is begun before it is
/// fulfilled, and with what a restore notes of it.
pub const REQUEST_STEPS_MAX: usize = TOPIC_EVENTS_MAX - 3 * REQUESTS_PER_PERSON_MAX;
/// Holidays of a policy: ten years of forty.
pub const HOLIDAYS_MAX: usize = 400;
/// Furthest from Easter Sunday that a holiday may be, in days.
pub const EASTER_DAYS_MAX: i32 = 100;
/// How long before it was recorded a request may have come in, in days.
pub const REQUEST_RECEIVED_DAYS_MAX: i64 = 366;
/// Decisions of one person that are recorded: each is found by an entry of the index, as a request is.
pub const DECISIONS_PER_PERSON_MAX: usize = 64;
/// Steps of all decisions of a person from which on no other is recorded and no view is added: reviews that are
/// begun still end.
pub const DECISION_STEPS_MAX: usize = TOPIC_EVENTS_MAX - 300;
/// The same for beginning a review.
pub const DECISION_REVIEWS_MAX: usize = TOPIC_EVENTS_MAX - 200;
/// Fields that one decision names as what went into it.
pub const DECISION_INPUTS_MAX: usize = 100;
/// Languages in which the logic of one decision is told.
pub const DECISION_LANGUAGES_MAX: usize = 32;
/// How long what a reviewer was shown is good for deciding, in seconds.
pub const REVIEW_SECONDS: i64 = 86_400;
/// How long a confirmation of what cannot be undone is good, in seconds.
pub const CONFIRMATION_SECONDS: i64 = 900;
/// Rows of the queue that are taken out of the store at a time; the look at everybody has a snapshot for each of these.
pub const REQUEST_QUEUE_ROWS: usize = 1_000;
/// Longest reason for an objection, a restriction, or a decision about one.
pub const REASON_BYTES_MAX: usize = 4_096;
/// `ask` calls for one person and UTC day.
pub const ASKS_PER_DAY_MAX: u32 = 50;
/// Shortest retention of log lines, in hours: their keys are those of a day.
pub const LOG_RETENTION_HOURS_MIN: u32 = 24;
/// Longest: five years, beyond which no log is one.
pub const LOG_RETENTION_HOURS_MAX: u32 = 5 * 366 * 24;
/// Lines in one call.
pub const LOG_LINES_MAX: usize = 1_000;
/// Longest line of a log; a longer one is stored as one that could not be looked at.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;
/// Deepest nesting of a line.
pub const LOG_DEPTH_MAX: usize = 16;
/// Texts and numbers in one line.
pub const LOG_SCALARS_MAX: usize = 1_024;
/// Finds in one line.
pub const LOG_FINDS_MAX: usize = 256;
/// Look-ups that known values cost one line.
pub const LOG_LOOKUPS_MAX: usize = 128;
/// Words of a line that are compared with known values, those of each way in which a text reads.
pub const LOG_WORDS_MAX: usize = 4_096;
/// How deep escapes within escapes of a line are resolved.
pub const LOG_ESCAPES_DEEP_MAX: usize = 3;
/// People whom the lines of one call are about.
pub const LOG_PEOPLE_MAX: usize = 100;
/// Text of log lines in one stored row.
pub const LOG_ROW_BYTES: usize = 256 << 10;
/// Bytes of log lines under one set of keys: they are sealed again, and go, in one commit.
pub const LOG_PART_BYTES: usize = 4 << 20;
/// Keys of a person beyond which their log lines get no more of them, so that a log leaves room for what the person
/// has: half of [`KEYS_PER_PERSON_MAX`].
pub const LOG_PERSON_KEYS_MAX: usize = KEYS_PER_PERSON_MAX / 2;
/// Bytes of one person's lines of a stream and day.
pub const LOG_PERSON_BYTES: usize = 1 << 20;
/// Row keys of log lines that a purge looks at over one snapshot.
pub const LOG_PURGE_ROWS: usize = 4_096;
/// Bytes of text after which a page of log lines ends with the line at hand.
pub const LOG_PAGE_BYTES: usize = 1 << 20;
/// Disk space held back for erasures.
pub const RESERVE_BYTES: u64 = 4 << 20;
/// How far the system's clock may be ahead of the vault's time before it has to be confirmed.
pub const CLOCK_LEAD_HOURS_MAX: i64 = 24;
/// Sessions of one person that are live at a time.
pub const SESSIONS_PER_PERSON_MAX: usize = 64;
/// Names of fields that a session is begun with.
pub const SESSION_FIELDS_MAX: usize = 64;
/// Reads, and writes, that a session is good for.
pub const SESSION_CALLS_MAX: u32 = 10_000;
/// How long a session lasts at most.
pub const SESSION_SECONDS_MAX: i64 = 24 * 3600;
/// How long it lasts unless told.
pub const SESSION_SECONDS_DEFAULT: i64 = 15 * 60;
/// How long emergency access lasts at most, whatever the policy says.
pub const EMERGENCY_SECONDS_MAX: i64 = 4 * 3600;
/// How long it lasts at most unless the policy says otherwise.
pub const EMERGENCY_SECONDS_DEFAULT: i64 = 3600;
/// How long a request for emergency access waits for somebody else's word.
pub const EMERGENCY_WAIT_SECONDS: i64 = 15 * 60;
/// Emergencies of one person that wait or stand at a time.
pub const EMERGENCIES_OPEN_MAX: usize = 8;
/// Steps of all emergencies of a person from which on no other is asked for: those that are open still get
/// decided, taken and ended, which is three steps each.
pub const EMERGENCY_STEPS_MAX: usize = TOPIC_EVENTS_MAX - 4 * EMERGENCIES_OPEN_MAX;
/// Tags of people that finding the scope of a breach holds at a time, about 60 bytes each.
pub const BREACH_TAGS_MAX: u64 = 500_000;
/// Days of the window of a breach in which entries are looked for.
pub const BREACH_DAYS_MAX: u64 = 400;
/// Incidents in the register.
pub const INCIDENTS_MAX: usize = 1_000;
/// Steps of one incident; the last four are kept for kinds of steps that it has not taken yet.
pub const INCIDENT_STEPS_MAX: usize = 100;
/// Longest report of the scope of an incident, as JSON.
pub const INCIDENT_SCOPE_BYTES_MAX: usize = 64 << 10;
/// Longest reason for emergency access.
pub const PLAIN_TEXT_BYTES_MAX: usize = 1_024;
/// Operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 100;
/// Bytes of a batch's results together.
pub const BATCH_RESULTS_BYTES_MAX: usize = 16 << 20;
/// Answers of one person that are remembered; beyond it the oldest go.
pub const ANSWERS_PER_PERSON_MAX: usize = 256;
/// Bytes of an answer that is remembered; of a longer one, that it was given.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long an answer is remembered.
pub const ANSWER_HOURS: u32 = 24;
/// Entries of the log in one row of its table; a few rows fill a page of the store.
pub const AUDIT_ROW_ENTRIES_MAX: usize = 16;
/// Entries of the log in one answer.
pub const AUDIT_PAGE_MAX: usize = 1_000;
/// Entries of the log in one answer, unless asked for otherwise.
pub const AUDIT_PAGE_DEFAULT: usize = 100;
/// Checkpoints in the body of one verification.
pub const AUDIT_NOTES_MAX: usize = 100;
/// Entries of the log that one query looks at; the answer says where to go on.
pub const AUDIT_SCAN_MAX: u64 = 200_000;
/// Longest signed note that is read: a checkpoint with the signatures of many witnesses.
pub const NOTE_BYTES_MAX: usize = 16 << 10;
/// How old the newest checkpoint in the log's own table is at most, while anything happens.
pub const CHECKPOINT_HOURS: i64 = 1;
/// Bytes of the read journal before it begins anew.
pub const JOURNAL_BYTES_MAX: u64 = 8 << 20;
/// How long `{channel, user}` of an erased person is refused.
pub const GUARD_SECONDS: i64 = 15 * 60;
/// Entries of that guard in memory; beyond it the oldest go.
pub const GUARD_ENTRIES_MAX: usize = 100_000;
/// People whose compartments get new keys in one commit.
pub const SWEEP_PEOPLE_MAX: usize = 32;
/// How long a compartment waits for its new key, so that what changes often is sealed again once
/// a while and not after every change; with a pass over everybody it stays under
/// [`FINAL_WITHIN_HOURS`].
pub const REKEY_AFTER_HOURS: u32 = 12;
/// Until when a value that was replaced or removed is gone from freed pages as well.
pub const FINAL_WITHIN_HOURS: i64 = 24;
/// Longest content of a blob; the policy sets what a field takes.
pub const BLOB_BYTES_MAX: u64 = 4 << 30;
/// What a field takes unless the policy says.
pub const BLOB_BYTES_DEFAULT: u64 = 10 << 20;
/// Media types that the policy lists for a field.
pub const MEDIA_TYPES_MAX: usize = 64;
/// Longest media type, without parameters. Source: RFC 6838 §4.2, 127 a side.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;
/// Chunks of a blob that one commit of an upload writes, and one slice of a download reads: about
/// 1 MiB, so that memory does not grow with the blob and no reader stays for long.
pub const BLOB_PART_CHUNKS: usize = 4;
/// Chunks that one commit removes: the store reads each page that it frees, here 16 MiB.
pub const BLOB_CHUNKS_REMOVED_MAX: usize = 64;
/// Commits that one pass of the sweeper makes for rows whose key is gone: a gigabyte of chunks.
pub const SWEEP_COMMITS_MAX: usize = 64;
/// Uploads under way for one person.
pub const UPLOADS_PER_PERSON_MAX: usize = 4;
/// Uploads under way.
pub const UPLOADS_MAX: usize = 32;
/// Disk space that an upload leaves free, so that it cannot fill the disk by itself.
pub const UPLOAD_FREE_BYTES_MIN: u64 = 64 << 20;
/// What a vault keeps of its database in memory unless told. The system caches the file besides
/// (docs/decisions/0007).
pub const CACHE_BYTES_DEFAULT: usize = 16 << 20;
/// Jobs under way at a time.
pub const JOBS_RUNNING_MAX: usize = 8;
/// Jobs that have ended and are still shown.
pub const JOBS_KEPT_MAX: usize = 64;
/// Changed people and rows that are remembered while a backup is made: about 100 MB.
pub const WATCHED_ROWS_MAX: usize = 2 << 20;
/// Bytes of an object of a backup.
pub const BACKUP_OBJECT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a part of an upload to an object store: an object has ten thousand parts at most, and two of each
/// upload are in memory. At least 5 MiB. Source: Amazon S3, "Multipart upload limits".
pub const OBJECT_PART_BYTES: usize = 8 << 20;
/// Parts of one upload. Source: as before.
pub const OBJECT_PARTS_MAX: u32 = 10_000;
/// Longest wait for a connection to an object store, in seconds, its name and TLS included.
pub const OBJECT_CONNECT_SECONDS: u64 = 15;
/// Longest wait for the beginning of an answer: a part has to be sent meanwhile, at 70 kB a second or more.
pub const OBJECT_TRY_SECONDS: u64 = 120;
/// Longest wait for further bytes of an answer.
pub const OBJECT_STALL_SECONDS: u64 = 60;
/// How often a request is sent, all in all.
pub const OBJECT_TRIES_MAX: u32 = 5;
/// Longest call of an object store, with all its tries.
pub const OBJECT_CALL_SECONDS: u64 = 600;
/// Connections that are kept for the next requests.
pub const OBJECT_CONNECTIONS_MAX: usize = 8;
/// Longest answer that is no object: a page of a list is shorter than a megabyte.
pub const OBJECT_ANSWER_BYTES_MAX: usize = 8 << 20;
/// Longest file of credentials.
pub const OBJECT_CREDENTIALS_BYTES_MAX: u64 = 64 << 10;
/// Longest head of a key part: a thousand recipients have less.
pub const BACKUP_HEAD_BYTES_MAX: u64 = 256 << 10;
/// Bytes that a backup copies from one snapshot: a long one would keep freed pages from being used again.
pub const BACKUP_SLICE_BYTES: u64 = 16 << 20;
/// Times that a backup follows what changed meanwhile, before it stops for the last of it.
pub const BACKUP_ROUNDS_MAX: u32 = 5;
/// So few changed people that a backup copies them from the same snapshot as its end.
pub const BACKUP_LAST_PEOPLE_MAX: usize = 1_024;
/// Times that a backup begins anew because more changed meanwhile than is remembered.
pub const BACKUP_ATTEMPTS_MAX: u32 = 3;
/// People whose row handles are sorted at a time for the key part of a backup.
pub const BACKUP_SORT_PEOPLE_MAX: usize = 256 << 10;
/// Longest manifest of a backup that is read.
pub const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Bytes of entries of one shred map that a restore keeps in memory; the others lie in a file.
pub const RESTORE_ASIDE_BYTES: usize = 4 << 20;
/// About so many people a restore opens whole, and everybody where there are fewer than twice as many; of the
/// others their keysets alone.
pub const RESTORE_OPENED_PEOPLE: u64 = 1_000;
/// Bytes of people's rows that a restore opens at once; of whom there is more, the rows are opened one by one.
pub const RESTORE_BUNDLE_BYTES: usize = 512 << 10;
/// Bytes of rows that one commit of a restore writes: so few that their pages stay in the half of the page cache
/// that holds changes, and are written together.
pub const RESTORE_BYTES_MAX: usize = 4 << 20;
/// Public keys that one key part is sealed to.
pub const RECIPIENTS_MAX: usize = 32;
/// Records that one entry of the erasure ledger names.
pub const LEDGER_RECORDS_MAX: usize = 1_000;
/// Entries of the ledger that are read from its table at a time.
pub const LEDGER_PAGE_ROWS: usize = 256;
/// Bytes of the ledger's file that are written at a time when it is made anew.
pub const LEDGER_WRITE_BYTES: usize = 256 << 10;
/// How old the newest head in the ledger's file becomes while nothing is destroyed.
pub const LEDGER_HEAD_HOURS: i64 = 1;
/// Backups in the registry, those that are gone among them.
pub const BACKUPS_MAX: usize = 100_000;
/// Longest text that says where a backup goes.
pub const BACKUP_TARGET_BYTES_MAX: usize = 1_024;
/// Lines of a file in one call of an import.
pub const IMPORT_LINES_MAX: usize = 200;
/// Mistakes of one line that are told.
pub const IMPORT_ERRORS_PER_LINE_MAX: usize = 4;
/// People of one call of an import who are written at a time: their commits become one.
pub const IMPORT_WRITERS: usize = 16;
/// How long an import lasts from one of its calls to the next: after that it has failed, and stands in the way
/// of no other. Putting a blob is no call of it: where blobs between two calls take longer, the next call begins
/// the job anew.
pub const IMPORT_IDLE_SECONDS: i64 = 300;
/// Names of fields for files that one line of an import asks purposes for.
pub const IMPORT_FILES_PER_LINE_MAX: usize = 500;
/// Longest row of CSV or line of JSON Lines: a record at its limit, with its names and escapes.
pub const IMPORT_ROW_BYTES_MAX: u64 = 4 * RECORD_BYTES_MAX as u64;
/// Columns of a CSV file.
pub const IMPORT_COLUMNS_MAX: usize = 4_096;
/// Longest text in a package, as it is written: a value at its limit in which every character is escaped.
pub const IMPORT_TEXT_BYTES_MAX: u64 = 8 << 20;
/// Deepest nesting of a package: that of a value, and what stands around it.
pub const IMPORT_DEPTH_MAX: u32 = 64;
/// Memory that one record of a file, or everything kept of a package beside its records, may come to. A
/// record of a vault comes to less, whatever it is made of.
pub const IMPORT_MEMORY_BYTES_MAX: usize = 128 << 20;
/// Members of a package's ZIP.
pub const PACKAGE_MEMBERS_MAX: usize = 100_000;
/// Longest manifest of a package.
pub const PACKAGE_MANIFEST_BYTES_MAX: u64 = 32 << 20;
/// Bytes that are read to find what a ZIP holds: so many members with their names have less.
pub const PACKAGE_DIRECTORY_BYTES_MAX: u64 = 16 << 20;
/// Bytes that every package may unpack to.
pub const PACKAGE_UNPACKED_BYTES: u64 = 256 << 20;
/// How many times the length of its file a package may unpack to besides. Files in it are not packed, and
/// texts of people become a tenth; ZIPs made to fill disks have a thousand times and more.
pub const PACKAGE_RATIO_MAX: u64 = 200;
/// Rows of a person that one commit of a rotation of keys seals again.
pub const ROTATION_COMMIT_ROWS: usize = 1_000;
/// Bytes of them, after which the commit ends with the row at hand.
pub const ROTATION_COMMIT_BYTES: usize = 4 << 20;
/// Rows that a rotation reads at a time.
pub const ROTATION_PAGE_ROWS: usize = 64;
/// Rows of a person over which keys are counted in one snapshot.
pub const ROTATION_SURVEY_ROWS: usize = 4_096;
/// Leaves of the people map whose people get new keys in one step of a rotation.
pub const ROTATION_LEAVES: usize = 1;
/// Rows that do not open which an answer names; the others are counted.
pub const ROTATION_NAMED_MAX: usize = 20;
/// Leaves of the people map out of whose keysets old marks go in one commit of a rotation.
pub const ROTATION_MARK_LEAVES: usize = 8;
