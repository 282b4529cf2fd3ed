#pragma once

#include <string_view>

// Why something is done, or why it is not: the vocabulary of steps and conditions. Append-only: dashboards, alerts and
// runbooks name these words, and deploy/runbook.md says of each what it means and what to do.
namespace postern::domain::reason {

// why a credential is made, or a token touched
inline constexpr std::string_view token_missing = "TokenMissing";
inline constexpr std::string_view secret_missing = "SecretMissing";
inline constexpr std::string_view secret_mismatch = "SecretMismatch";
inline constexpr std::string_view disabled = "Disabled";
inline constexpr std::string_view duration_changed = "DurationChanged";
inline constexpr std::string_view expiring = "Expiring";
inline constexpr std::string_view too_old = "TooOld";
inline constexpr std::string_view requested = "Requested";
inline constexpr std::string_view compromised = "Compromised";
inline constexpr std::string_view retired = "Retired";
inline constexpr std::string_view orphaned = "Orphaned";
inline constexpr std::string_view adopted = "Adopted";
inline constexpr std::string_view emergency_fix = "EmergencyFix";
inline constexpr std::string_view lost_reply = "LostReply";
inline constexpr std::string_view promoted = "Promoted";
inline constexpr std::string_view rebuilt = "Rebuilt";
inline constexpr std::string_view not_initialised = "NotInitialised";

// policies
inline constexpr std::string_view policy_missing = "PolicyMissing";
inline constexpr std::string_view member_missing = "MemberMissing";
inline constexpr std::string_view member_doubled = "MemberDoubled";
inline constexpr std::string_view member_orphaned = "MemberOrphaned";
inline constexpr std::string_view wrong_decision = "WrongDecision";
inline constexpr std::string_view duplicate_policy = "DuplicatePolicy";
inline constexpr std::string_view foreign_members = "ForeignMembers";
inline constexpr std::string_view mixed_policy = "MixedPolicy";
inline constexpr std::string_view policy_changed = "PolicyChanged";
inline constexpr std::string_view denied = "Denied";
inline constexpr std::string_view bypassed = "Bypassed";

// consumers
inline constexpr std::string_view vault_drift = "VaultDrift";
inline constexpr std::string_view config_drift = "ConfigDrift";
inline constexpr std::string_view not_delivered = "NotDelivered";
inline constexpr std::string_view unproven = "Unproven";
inline constexpr std::string_view recorded = "Recorded";
inline constexpr std::string_view left_git = "LeftGit";

// what is fine
inline constexpr std::string_view all_fine = "AsDeclared";
inline constexpr std::string_view reachable = "Reachable";
inline constexpr std::string_view scheduled = "Scheduled";
inline constexpr std::string_view never_expires = "NeverExpires";
inline constexpr std::string_view in_progress = "InProgress";
inline constexpr std::string_view observed_drift = "ObservedDrift";

// what waits
inline constexpr std::string_view propagating = "Propagating";
inline constexpr std::string_view foreign_intent = "ForeignIntent";
inline constexpr std::string_view release_pending = "ReleasePending";
inline constexpr std::string_view retrying = "Retrying";
inline constexpr std::string_view overlapping = "Overlapping";
inline constexpr std::string_view queued = "Queued";
inline constexpr std::string_view own_app_last = "OwnAppLast";

// what needs a person, or failed
inline constexpr std::string_view authorization_missing = "AuthorizationMissing";
inline constexpr std::string_view authorization_used = "AuthorizationUsed";
inline constexpr std::string_view secret_unknown = "SecretUnknown";
inline constexpr std::string_view duplicate_name = "DuplicateName";
inline constexpr std::string_view claimed_elsewhere = "ClaimedElsewhere";
inline constexpr std::string_view no_binding = "NoBinding";
inline constexpr std::string_view application_not_found = "ApplicationNotFound";
inline constexpr std::string_view application_ambiguous = "ApplicationAmbiguous";
inline constexpr std::string_view application_unsuitable = "ApplicationUnsuitable";
inline constexpr std::string_view not_allowed = "NotAllowed";
inline constexpr std::string_view host_unknown = "HostUnknown";
inline constexpr std::string_view host_foreign = "HostForeign";
inline constexpr std::string_view path_taken = "PathTaken";
inline constexpr std::string_view path_open = "PathOpen";
inline constexpr std::string_view folder_missing = "FolderMissing";
inline constexpr std::string_view key_taken = "KeyTaken";
inline constexpr std::string_view value_hidden = "ValueHidden";
inline constexpr std::string_view duplicate_key = "DuplicateKey";
inline constexpr std::string_view awaiting_approval = "AwaitingApproval";
inline constexpr std::string_view record_unreadable = "RecordUnreadable";
inline constexpr std::string_view config_var_taken = "ConfigVarTaken";
inline constexpr std::string_view app_unreadable = "AppUnreadable";
inline constexpr std::string_view release_failed = "ReleaseFailed";
inline constexpr std::string_view clock_skew = "ClockSkew";
inline constexpr std::string_view empty_list = "EmptyList";
inline constexpr std::string_view unreadable = "Unreadable";
inline constexpr std::string_view proof_failed = "ProofFailed";
inline constexpr std::string_view still_held = "StillHeld";
inline constexpr std::string_view consumer_lags = "ConsumerLags";
inline constexpr std::string_view referenced_elsewhere = "ReferencedElsewhere";
inline constexpr std::string_view still_referenced = "StillReferenced";
inline constexpr std::string_view still_admitted = "StillAdmitted";
inline constexpr std::string_view cannot_rotate = "CannotRotate";
inline constexpr std::string_view mass_change = "MassChange";
inline constexpr std::string_view access_expiring = "AccessExpiring";
inline constexpr std::string_view unavailable = "Unavailable";
inline constexpr std::string_view refused = "Refused";
inline constexpr std::string_view conflict = "Conflict";

} // namespace postern::domain::reason
