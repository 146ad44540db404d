package hsm_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"hallmark/hsm"
)

func TestASecretIsNeverShown(t *testing.T) {
	secret := hsm.NewSecret([]byte("4711"))
	hidden := struct{ pin hsm.Secret }{secret}
	open := struct{ PIN hsm.Secret }{secret}
	shown := map[string]string{
		"String": secret.String(), "GoString": secret.GoString(),
		"in an error": fmt.Errorf("refusing %v", secret).Error(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p"} {
		shown[verb] = fmt.Sprintf(verb, secret)
		shown["pointer "+verb] = fmt.Sprintf(verb, &secret)
		shown["unexported field "+verb] = fmt.Sprintf(verb, hidden)
		shown["exported field "+verb] = fmt.Sprintf(verb, open)
	}
	for name, marshal := range map[string]func(any) ([]byte, error){
		"JSON": json.Marshal, "YAML": func(v any) ([]byte, error) { return yaml.Marshal(v) }, "XML": xml.Marshal,
	} {
		for kind, value := range map[string]any{" of a secret": secret, " of a pointer": &secret, " of a field": map[string]hsm.Secret{"pin": secret}} {
			text, err := marshal(value)
			if err != nil && name != "XML" {
				t.Fatalf("%s%s: %v", name, kind, err)
			}
			shown[name+kind] = string(text)
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("opening", "pin", secret, "group", slog.GroupValue(slog.Any("pin", &secret)), "struct", hidden)
	}
	shown["slog"] = log.String()
	for how, text := range shown {
		for _, leak := range []string{"4711", "34373131", "52 55 49 49", "0x34", "NDcxMQ"} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows %q", how, text)
			}
		}
	}
	if shown["%v"] != "[redacted]" || shown["JSON of a secret"] != `"[redacted]"` {
		t.Errorf("got %q and %q", shown["%v"], shown["JSON of a secret"])
	}
}

func TestASecretIsNotDecoded(t *testing.T) {
	var into struct{ PIN hsm.Secret }
	if err := json.Unmarshal([]byte(`{"PIN":"4711"}`), &into); err == nil || strings.Contains(err.Error(), "4711") {
		t.Errorf("JSON: got %v", err)
	}
	if err := yaml.Unmarshal([]byte("pin: '4711'\n"), &into); err == nil {
		t.Error("YAML was decoded")
	}
}

func TestWipingOverwritesTheOctets(t *testing.T) {
	octets := []byte("4711")
	secret := hsm.NewSecret(octets)
	secret.Wipe()
	secret.Wipe()
	if !bytes.Equal(octets, make([]byte, 4)) {
		t.Errorf("still there: %x", octets)
	}
	hsm.Secret{}.Wipe()
}

func TestEverySentinelSaysWhatToDoNext(t *testing.T) {
	for _, sentinel := range []error{
		hsm.ErrConfig, hsm.ErrInUse, hsm.ErrModuleMissing, hsm.ErrModuleUnloadable, hsm.ErrModuleNotStarted, hsm.ErrHung, hsm.ErrBusy, hsm.ErrClosed,
		hsm.ErrTokenMissing, hsm.ErrTokenAmbiguous, hsm.ErrTokenExists, hsm.ErrTokenUnfit, hsm.ErrSoftwareToken,
		hsm.ErrSessionLost, hsm.ErrSessionLimit, hsm.ErrTokenRefused, hsm.ErrNoRandom,
		hsm.ErrPINSource, hsm.ErrPINWrong, hsm.ErrPINLocked, hsm.ErrPINAtRisk, hsm.ErrPINExpired, hsm.ErrPINNotSet,
		hsm.ErrKeyMissing, hsm.ErrKeyDuplicated, hsm.ErrKeyExists, hsm.ErrKeyExtractable, hsm.ErrKeyDiffers, hsm.ErrKeyUnreadable,
		hsm.ErrDigest, hsm.ErrBadSignature, hsm.ErrURI,
	} {
		if len(hsm.Advice(fmt.Errorf("opening: %w", sentinel))) < 10 {
			t.Errorf("%v: no advice", sentinel)
		}
	}
	if advice := hsm.Advice(errors.New("another")); advice != "" {
		t.Errorf("advice for a foreign error: %q", advice)
	}
}
