// Package hsm finds a key on a PKCS#11 token and returns it as a [crypto.Signer]
// that keeps working when the token restarts. The package knows no certificates;
// its caller decides what is signed.
//
// # Contract
//
// [Open] examines the module and the token before it logs in, and refuses a token
// whose PIN is locked or on its final try. Open logs in once and never tries a PIN a
// second time, because real tokens lock, some of them for ever.
//
// [Token.Signer] adopts an existing key and never makes one. It looks for the private key of
// the public key that the caller gives, normally that of the CA certificate; label and id only
// narrow the search. It demands exactly one private key, every attribute of [Policy], each read
// alone, and a signed challenge. The challenge decides, because the token's own public key does
// not prove which key this is. [Token.Generate] makes keys, for the ceremony only.
//
// Every signature is verified in software before it is returned.
//
// # When the token goes away
//
// The table in ckr.go says which return values mean that the session is lost. After
// such a value the next call closes the module, opens it again, finds every key that
// was handed out, compares each key with its public key, and repeats the call once.
// One caller reopens for all callers. When a reopen fails, the next one waits for a
// pause that grows from 100 ms to 5 s; until then calls fail at once. PIN errors
// and a changed key are final: every later call gets the same error, until a new
// process is started.
//
// A PKCS#11 call cannot be cancelled. The caller of a call that takes longer than
// [Config.Timeout] gets [ErrHung]. Such a call counts as in flight until the module
// returns, and its result is dropped. The token may still have signed. If the module
// never returns, only a new process helps, and [Token.Close] returns ErrHung instead
// of waiting.
//
// # One token per process
//
// The state of PKCS#11 (C_Initialize, login) belongs to the process, and the module
// grants a second login in one process without a check of the PIN. So at most one
// Token is open in a process; a second Open returns [ErrInUse]. One Token serves any
// number of keys.
//
// [Config.Environment] is set in this process before the module is loaded. It stays
// set, so child processes inherit it. It names configuration files such as
// SOFTHSM2_CONF and must not contain a PIN.
//
// The package needs cgo and a C compiler (CGO_ENABLED=1), like every user of PKCS#11.
package hsm
