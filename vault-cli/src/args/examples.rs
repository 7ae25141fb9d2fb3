//! Lines that work, for the help of each command. A test parses every one.

pub(super) const ALL: &str = "\
Examples:
  vault-cli dev
  vault-cli --vault /srv/vault init --policy policy.toml
  vault-cli help token rotate";

pub(super) const DEV: &str = "\
Examples:
  vault-cli dev
  vault-cli dev --policy policy.toml --listen 127.0.0.1:0
  vault-cli dev --dir ./try --json";

pub(super) const INIT: &str = "\
Examples:
  vault-cli --vault /srv/vault init
  vault-cli --vault /srv/vault init --policy policy.toml --passphrase-file /run/secrets/vault
  vault-cli --vault /srv/vault --anchor /srv/anchor init --dry-run";

pub(super) const SERVE: &str = "\
Examples:
  vault-cli --vault /srv/vault serve
  vault-cli --vault /srv/vault serve --listen 127.0.0.1:8787 --passphrase-file /run/secrets/vault
  vault-cli --vault /srv/vault serve --print-config";

pub(super) const STATUS: &str = "\
Examples:
  vault-cli --vault /srv/vault status
  vault-cli --vault /srv/vault status --passphrase-file /run/secrets/vault
  vault-cli --server https://vault.example.test --token-file operator.token status --json";

pub(super) const DOCTOR: &str = "\
Examples:
  vault-cli --vault /srv/vault doctor
  vault-cli --vault /srv/vault doctor --gdpr --passphrase-file /run/secrets/vault --json
  vault-cli doctor --gdpr --policy policy.toml";

pub(super) const MAN: &str = "\
Examples:
  vault-cli man > vault-cli.1
  vault-cli man --to ~/.local/share/man/man1";

pub(super) const POLICY: &str = "\
Examples:
  vault-cli policy check policy.toml
  vault-cli --vault /srv/vault policy diff policy.toml
  vault-cli --vault /srv/vault policy apply policy.toml";

pub(super) const POLICY_CHECK: &str = "\
Examples:
  vault-cli policy check policy.toml
  cat policy.toml | vault-cli policy check - --json";

pub(super) const POLICY_APPLY: &str = "\
Examples:
  vault-cli --vault /srv/vault policy apply policy.toml --dry-run
  vault-cli --vault /srv/vault policy apply policy.toml";

pub(super) const POLICY_SHOW: &str = "\
Examples:
  vault-cli policy show policy.toml
  vault-cli --vault /srv/vault policy show
  vault-cli --vault /srv/vault policy show --versions";

pub(super) const POLICY_DIFF: &str = "\
Examples:
  vault-cli --vault /srv/vault policy diff policy.toml
  vault-cli --server https://vault.example.test --token-file o.token policy diff policy.toml";

pub(super) const SLOT: &str = "\
Examples:
  vault-cli --vault /srv/vault slot list
  vault-cli --vault /srv/vault slot add --label office
  vault-cli --vault /srv/vault slot remove 3";

pub(super) const SLOT_LIST: &str = "\
Examples:
  vault-cli --vault /srv/vault slot list
  vault-cli --vault /srv/vault --recovery-key-file key.txt slot list --json";

pub(super) const SLOT_ADD: &str = "\
Examples:
  vault-cli --vault /srv/vault slot add --label office
  vault-cli --vault /srv/vault slot add --secret-file new.passphrase
  vault-cli --vault /srv/vault slot add --kind recovery-key --label safe
  vault-cli --vault /srv/vault slot add --kind key-file --secret-file /etc/vault.key --label boot
  vault-cli --vault /srv/vault slot add --kind shares --threshold 2 --shares 3 --replaces 2";

pub(super) const KEY: &str = "\
Examples:
  vault-cli --vault /srv/vault key status
  vault-cli --vault /srv/vault key rotate root
  vault-cli --vault /srv/vault key rotate all --deep";

pub(super) const KEY_STATUS: &str = "\
Examples:
  vault-cli --vault /srv/vault key status
  vault-cli --vault /srv/vault key status sub_00000000000000000000000000 --json";

pub(super) const KEY_ROTATE: &str = "\
Examples:
  vault-cli --vault /srv/vault key rotate root
  vault-cli --vault /srv/vault key rotate subject sub_00000000000000000000000000
  vault-cli --vault /srv/vault key rotate all --status";

pub(super) const KEY_ROTATE_ROOT: &str = "\
Examples:
  vault-cli --vault /srv/vault key rotate root
  vault-cli --vault /srv/vault key rotate root --yes --passphrase-file /run/secrets/vault
  vault-cli --vault /srv/vault key rotate root --deep";

pub(super) const KEY_ROTATE_SUBJECT: &str = "\
Examples:
  vault-cli --vault /srv/vault key rotate subject sub_00000000000000000000000000
  vault-cli --vault /srv/vault key rotate subject sub_00000000000000000000000000 --dry-run";

pub(super) const KEY_ROTATE_ALL: &str = "\
Examples:
  vault-cli --vault /srv/vault key rotate all
  vault-cli --vault /srv/vault key rotate all --status
  vault-cli --server https://v.example.test --token-file op.token key rotate all --deep --yes";

pub(super) const SLOT_REMOVE: &str = "\
Examples:
  vault-cli --vault /srv/vault slot remove 3 --dry-run
  vault-cli --vault /srv/vault slot remove 3";

pub(super) const SLOT_TEST: &str = "\
Examples:
  vault-cli --vault /srv/vault slot test
  vault-cli --vault /srv/vault slot test --kind recovery-key --secret-file key.txt
  vault-cli --vault /srv/vault slot test --share-file share-1.txt --share-file share-2.txt";

pub(super) const TOKEN: &str = "\
Examples:
  vault-cli --vault /srv/vault token create --role bot --label support-bot --expires P90D
  vault-cli --vault /srv/vault token list
  vault-cli --vault /srv/vault token rotate tok_00000000000000000000000000 --overlap PT24H";

pub(super) const TOKEN_CREATE: &str = "\
Examples:
  vault-cli --vault /srv/vault token create --role bot --label support-bot --expires P90D
  vault-cli --vault /srv/vault token create --role bot --channel web --channel sms > bot.token
  vault-cli --vault /srv/vault token create --role operator --expires 2030-01-31";

pub(super) const TOKEN_LIST: &str = "\
Examples:
  vault-cli --vault /srv/vault token list
  vault-cli --server https://vault.example.test --token-file clerk.token token list --json";

pub(super) const TOKEN_ROTATE: &str = "\
Examples:
  vault-cli --vault /srv/vault token rotate tok_00000000000000000000000000 > bot.token
  vault-cli --vault /srv/vault token rotate tok_00000000000000000000000000 --overlap P7D
  vault-cli --vault /srv/vault token rotate tok_00000000000000000000000000 --overlap PT0S --yes";

pub(super) const TOKEN_REVOKE: &str = "\
Examples:
  vault-cli --vault /srv/vault token revoke tok_00000000000000000000000000
  vault-cli --vault /srv/vault token revoke tok_00000000000000000000000000 --yes";

pub(super) const SUBJECT: &str = "\
Examples:
  vault-cli --vault /srv/vault subject find
  vault-cli --vault /srv/vault subject show sub_00000000000000000000000000
  vault-cli --vault /srv/vault subject erase sub_00000000000000000000000000";

pub(super) const SUBJECT_FIND: &str = "\
Examples:
  vault-cli --vault /srv/vault subject find
  cat who.json | vault-cli --vault /srv/vault --passphrase-file p.txt subject find";

pub(super) const SUBJECT_SHOW: &str = "\
Examples:
  vault-cli --vault /srv/vault subject show sub_00000000000000000000000000
  vault-cli --vault /srv/vault subject show sub_00000000000000000000000000 --json";

pub(super) const SUBJECT_ACCESS: &str = "\
Examples:
  vault-cli --vault /srv/vault subject access sub_00000000000000000000000000
  vault-cli --vault /srv/vault subject access sub_00000000000000000000000000 --from 2030-01-01
  cat who.json | vault-cli --vault /srv/vault --passphrase-file p.txt subject access --json";

pub(super) const SUBJECT_EXPORT: &str = "\
Examples:
  vault-cli --vault v --token-file t subject export sub_00000000000000000000000000 --to package.zip
  vault-cli --token-file t subject export sub_00000000000000000000000000 --format json --to a.json
  vault-cli --token-file t subject export sub_00000000000000000000000000 --to a --recipient age1…";

pub(super) const IMPORT: &str = "\
Examples:
  vault-cli --vault /srv/vault --token-file bot.token import package.zip
  vault-cli --vault v --token-file bot.token import people.csv --mapping people.toml --dry-run
  vault-cli --vault v --token-file t import people.csv --mapping m.toml --errors refused.jsonl";

pub(super) const SUBJECT_HOLD: &str = "\
Examples:
  vault-cli --vault v subject hold sub_00000000000000000000000000
  vault-cli subject hold sub_00000000000000000000000000 --ground legal_claims --review-at 2035-12-31
  vault-cli --vault v subject hold sub_00000000000000000000000000 --release --dry-run";

pub(super) const CHAT: &str = "\
Examples:
  vault-cli --server http://127.0.0.1:8200 --token-file bot.token chat
  vault-cli --vault /srv/vault --token-file bot.token chat --channel web --user-file who.txt
  echo 'delete me' | vault-cli --vault /srv/vault --token-file bot.token chat --json";

pub(super) const REQUEST: &str = "\
Examples:
  vault-cli --vault /srv/vault request list --overdue
  vault-cli --vault /srv/vault request show req_00000000000000000000000000";

pub(super) const REQUEST_LIST: &str = "\
Examples:
  vault-cli --vault /srv/vault request list
  vault-cli --vault /srv/vault request list --type erase --due-before 2030-01-31 --json";

pub(super) const REQUEST_SHOW: &str = "\
Examples:
  vault-cli --vault /srv/vault request show req_00000000000000000000000000
  vault-cli --vault /srv/vault request show req_00000000000000000000000000 --json";

pub(super) const REQUEST_APPROVE: &str = "\
Examples:
  vault-cli --vault v request approve req_00000000000000000000000000 --dry-run
  vault-cli --vault v request approve req_00000000000000000000000000 --evidence-file seen.txt
  vault-cli --vault v request approve req_00000000000000000000000000 --deliver link";

pub(super) const REQUEST_REJECT: &str = "\
Examples:
  vault-cli --vault v request reject req_00000000000000000000000000 --code A17LegalClaims \\
      --law 17.3.e --reason-file reason.txt --approver-file approver.txt
  vault-cli request reject --help";

pub(super) const REQUEST_EXTEND: &str = "\
Examples:
  vault-cli --vault v request extend req_00000000000000000000000000 --reason complexity
  vault-cli --vault v request extend req_00000000000000000000000000 --reason number --period P1M";

pub(super) const SUBJECT_HOLDS: &str = "\
Examples:
  vault-cli --vault /srv/vault subject holds
  vault-cli --vault /srv/vault subject holds --json";

pub(super) const SUBJECT_ERASE: &str = "\
Examples:
  vault-cli --vault /srv/vault subject erase sub_00000000000000000000000000 --dry-run
  vault-cli --vault /srv/vault subject erase sub_00000000000000000000000000 > receipt.json";

pub(super) const AUDIT: &str = "\
Examples:
  vault-cli --vault /srv/vault audit tail
  vault-cli --vault /srv/vault audit verify --checkpoint kept.checkpoint
  vault-cli --vault /srv/vault audit export --to log.ndjson";

pub(super) const AUDIT_TAIL: &str = "\
Examples:
  vault-cli --vault /srv/vault audit tail --last 50 --outcome role_denied
  vault-cli --vault /srv/vault audit tail --subject sub_00000000000000000000000000
  vault-cli --vault /srv/vault audit tail --action records.read --since 2030-01-31 --json";

pub(super) const AUDIT_VERIFY: &str = "\
Examples:
  vault-cli --vault /srv/vault audit verify
  vault-cli --vault /srv/vault audit verify --checkpoint january --checkpoint february";

pub(super) const AUDIT_EXPORT: &str = "\
Examples:
  vault-cli --vault /srv/vault audit export --to log.ndjson
  vault-cli --vault /srv/vault audit export > log.ndjson";

pub(super) const AUDIT_KEY: &str = "\
Examples:
  vault-cli --vault /srv/vault audit key > vault.key
  vault-cli --server https://vault.example.test --token-file auditor.token audit key --json";

pub(super) const AUDIT_CHECKPOINT: &str = "\
Examples:
  vault-cli --vault /srv/vault audit checkpoint > kept.checkpoint
  vault-cli --server https://vault.example.test --token-file auditor.token audit checkpoint";

pub(super) const LOG: &str = "\
Examples:
  vault-cli log scan app.log
  vault-cli log scan app.log --redact > clean.log";

pub(super) const LOG_SCAN: &str = "\
Examples:
  vault-cli log scan app.log access.log --json
  journalctl -u bot | vault-cli log scan -
  vault-cli log scan app.log --kinds card,iban --possible
  vault-cli log scan app.log --redact > clean.log";

pub(super) const RECEIPT: &str = "\
Examples:
  vault-cli receipt verify receipt.json --key vault.key
  vault-cli --vault /srv/vault receipt show rcp_00000000000000000000000000";

pub(super) const RECEIPT_VERIFY: &str = "\
Examples:
  vault-cli receipt verify receipt.json --key vault.key
  cat receipt.json | vault-cli receipt verify - --key vault.key --json";

pub(super) const RECEIPT_SHOW: &str = "\
Examples:
  vault-cli --vault /srv/vault receipt show rcp_00000000000000000000000000
  vault-cli --vault /srv/vault receipt show rcp_00000000000000000000000000 > receipt.json
  vault-cli receipt show receipt.json --key vault.key --html receipt.html";

pub(super) const NOTICE: &str = "\
Examples:
  vault-cli --vault /srv/vault notice > privacy.md
  vault-cli --vault /srv/vault notice --lang de --format html > datenschutz.html
  vault-cli notice --policy policy.toml --check privacy.md";

pub(super) const ROPA: &str = "\
Examples:
  vault-cli --vault /srv/vault ropa > records-of-processing.md
  vault-cli ropa --policy policy.toml --format csv > records-of-processing.csv";

pub(super) const RETENTION: &str = "\
Examples:
  vault-cli --vault /srv/vault retention run --dry-run
  vault-cli --vault /srv/vault retention run";

pub(super) const RETENTION_RUN: &str = "\
Examples:
  vault-cli --vault /srv/vault retention run --dry-run
  vault-cli --vault /srv/vault retention run --yes --passphrase-file /run/secrets/vault
  vault-cli --server https://vault.example.test --token-file operator.token retention run --yes";

pub(super) const BREACH: &str = "\
Examples:
  vault-cli --vault /srv/vault breach scope --files
  vault-cli help breach scope";

pub(super) const BREACH_SCOPE: &str = "\
Examples:
  vault-cli --vault /srv/vault breach scope --role agent --from 2030-01-01 --to 2030-01-08
  vault-cli --vault /srv/vault breach scope --role agent --people affected.ndjson --json
  vault-cli --vault /srv/vault breach scope --recipient carrier --people affected.ndjson
  vault-cli --vault /srv/vault breach scope --key slot --draft authority --draft people --out drafts
  vault-cli --server https://vault.example.test --token-file dpo.token breach scope --role agent";

pub(super) const COMPLETIONS: &str = "\
Examples:
  vault-cli completions bash > ~/.local/share/bash-completion/completions/vault-cli
  vault-cli completions zsh > ~/.zfunc/_vault-cli
  vault-cli completions fish > ~/.config/fish/completions/vault-cli.fish";

pub(super) const BACKUP: &str = "\
Examples:
  vault-cli backup identity --to identity.txt
  vault-cli --vault /srv/vault backup create --to /mnt/backups --recipient backup.pub
  vault-cli backup verify --from /mnt/backups --identity identity.txt";

pub(super) const BACKUP_CREATE: &str = "\
Examples:
  vault-cli --vault /srv/vault backup create --to /mnt/backups --recipient backup.pub
  vault-cli --vault /srv/vault backup create --to /mnt/backups --passphrase-recipient
  vault-cli --vault /srv/vault backup create --to /mnt/backups --data-only";

pub(super) const BACKUP_IDENTITY: &str = "\
Examples:
  vault-cli backup identity --to identity.txt > backup.pub
  vault-cli backup identity --to /media/key/identity.txt --json";

pub(super) const BACKUP_LIST: &str = "\
Examples:
  vault-cli backup list --from /mnt/backups
  vault-cli backup list --from /mnt/backups --json";

pub(super) const BACKUP_VERIFY: &str = "\
Examples:
  vault-cli backup verify --from /mnt/backups --key vault.key
  vault-cli backup verify --from /mnt/backups --identity identity.txt --share 1/7";

pub(super) const BACKUP_RESTORE: &str = "\
Examples:
  vault-cli backup restore --from b --identity identity.txt --into v --ledger lost/ledger
  vault-cli backup restore --from b --identity identity.txt --into v --dry-run";

pub(super) const BACKUP_REKEY: &str = "\
Examples:
  vault-cli --vault v backup rekey --to b bak_00000000000000000000000000 --passphrase-recipient
  vault-cli --vault v backup rekey --to b bak_00000000000000000000000000 --recipient k.pub";

pub(super) const BACKUP_PRUNE: &str = "\
Examples:
  vault-cli --vault v backup prune --to b --keep-last 3 --dry-run
  vault-cli --vault v backup prune --to b --keep-daily 7 --keep-monthly 12 --yes";

pub(super) const BACKUP_LEDGER: &str = "\
Examples:
  vault-cli --vault /srv/vault backup ledger --to /mnt/backups
  vault-cli --vault /srv/vault backup ledger --to /mnt/backups --json";

pub(super) const INCIDENT: &str = "\
Examples:
  vault-cli --vault /srv/vault incident list
  vault-cli --vault /srv/vault incident show inc_00000000000000000000000000";

pub(super) const INCIDENT_LIST: &str = "\
Examples:
  vault-cli --vault /srv/vault incident list
  vault-cli --server https://vault.example.test --token-file dpo.token incident list --json";

pub(super) const INCIDENT_SHOW: &str = "\
Examples:
  vault-cli --vault /srv/vault incident show inc_00000000000000000000000000
  vault-cli --vault /srv/vault incident show inc_00000000000000000000000000 --json";

pub(super) const DECISION: &str = "\
Examples:
  vault-cli --vault v --token-file reviewer.token decision list
  vault-cli help decision change";

pub(super) const DECISION_LIST: &str = "\
Examples:
  vault-cli --vault v --token-file reviewer.token decision list --overdue
  vault-cli --vault v --token-file reviewer.token decision list --state annulled --json";

pub(super) const DECISION_SHOW: &str = "\
Examples:
  vault-cli --vault v --token-file r.token decision show dec_00000000000000000000000000
  vault-cli --vault v --token-file r.token decision show dec_00000000000000000000000000 --begin";

pub(super) const DECISION_UPHOLD: &str = "\
Examples:
  vault-cli --vault v --token-file reviewer.token decision uphold \\
      dec_00000000000000000000000000 --reasons-file why.txt
  vault-cli --vault v --token-file reviewer.token decision uphold \\
      dec_00000000000000000000000000 --reasons-file why.txt --dry-run";

pub(super) const DECISION_CHANGE: &str = "\
Examples:
  vault-cli --vault v --token-file reviewer.token decision change \\
      dec_00000000000000000000000000 --outcome-file now.txt --reasons-file why.txt
  vault-cli help decision change";

pub(super) const DECISION_ANNUL: &str = "\
Examples:
  vault-cli --vault v --token-file reviewer.token decision annul \\
      dec_00000000000000000000000000 --reasons-file why.txt
  vault-cli help decision annul";

pub(super) const EMERGENCY: &str = "\
Examples:
  vault-cli --vault v --token-file second.token emergency list sub_00000000000000000000000000
  vault-cli help emergency approve";

pub(super) const EMERGENCY_LIST: &str = "\
Examples:
  vault-cli --vault v --token-file second.token emergency list sub_00000000000000000000000000
  vault-cli --vault v --token-file s.token emergency list sub_00000000000000000000000000 --json";

pub(super) const EMERGENCY_APPROVE: &str = "\
Examples:
  vault-cli --vault v --token-file second.token emergency approve \\
      sub_00000000000000000000000000 emg_00000000000000000000000000
  vault-cli --vault v --token-file second.token emergency approve \\
      sub_00000000000000000000000000 emg_00000000000000000000000000 --dry-run";

pub(super) const EMERGENCY_DENY: &str = "\
Examples:
  vault-cli --vault v --token-file second.token emergency deny \\
      sub_00000000000000000000000000 emg_00000000000000000000000000
  vault-cli help emergency deny";
