// Package hsm finds a key in a PKCS#11 token and hands it out as a
// [crypto.Signer] that survives a restart of the token. It knows no
// certificates: what may be signed is decided above it.
//
// # Contract
//
// [Open] looks at the module and the token before it logs in, refuses a token
// whose PIN is locked or on its final try, logs in once, and never tries a PIN
// a second time: real tokens lock, some for ever.
//
// [Token.Signer] adopts an existing key and never makes one. It insists on
// exactly one key pair for the label and id, on every attribute of [Policy],
// each read alone, and on a signed challenge that verifies with the public key
// the caller brought along, normally that of the CA certificate. The public key
// on the token is not trusted to say who it is. Making keys is [Token.Generate],
// for the ceremony.
//
// Every signature is verified in software before it is returned.
//
// # When the token goes away
//
// A session that is lost (the table in ckr.go says which codes mean that) makes
// the next call close the module, open it again, find every key handed out,
// compare it with the key pinned at [Token.Signer], and repeat the call once. One
// caller does that for all. A reopen that fails is not tried again before a
// pause that grows from 100 ms to 5 s; until then calls fail at once. PIN errors
// and a key that changed are kept: every later call gets them, until a new
// process is started.
//
// A PKCS#11 call cannot be cancelled. When one takes longer than
// [Config.Timeout] its caller gets [ErrHung]; the call keeps its place among the
// calls in flight until the module returns, and its result is dropped. The token
// may still have signed. If the module never returns, only a new process helps,
// and [Token.Close] says so instead of waiting.
//
// # One per process
//
// The state of PKCS#11 (C_Initialize, login) belongs to the process, and a second
// login in one process is granted without looking at the PIN. So at most one
// Token is open in a process; a second Open is [ErrInUse]. One Token serves any
// number of keys.
//
// [Config.Environment] is set in this process before the module is loaded, stays
// set, and is therefore inherited by child processes. It names configuration
// files such as SOFTHSM2_CONF, and is no place for a PIN.
//
// The package needs cgo and a C compiler (CGO_ENABLED=1), as every user of PKCS#11.
package hsm
