package devices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hallmark/devices/smp"
)

// Firmware of version 1 refuses the key with which a station names its version. The station asks again without the key,
// and from then on never sends it to this board.
func TestABoardOfVersion1IsAskedAsVersion1(t *testing.T) {
	client, board := startScripted(t, quick, refuse(2), answer(&hello), answer(&hello))
	for range 2 {
		id, err := client.Identify(t.Context())
		if err != nil || id.Protocol != 1 || id.Damaged {
			t.Fatalf("%+v, %v", id, err)
		}
	}
	var versions []uint32
	board.mu.Lock()
	defer board.mu.Unlock()
	for _, message := range board.asked {
		var request smp.Hello
		if _, err := smp.Parse(message, &request); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, request.Version)
	}
	if want := []uint32{2, 0, 0}; !slices.Equal(versions, want) {
		t.Errorf("asked with versions %v, want %v", versions, want)
	}
}

func TestABoardOfVersion2SaysThatItsStoreIsDamaged(t *testing.T) {
	damaged := hello
	damaged.Version, damaged.LifeCycle = 2, 2
	client, _ := startScripted(t, quick, answer(&damaged))
	if id, err := client.Identify(t.Context()); err != nil || id.Protocol != 2 || !id.Damaged || id.Sealed {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestAfterNoiseTheSameRequestIsSentAgain(t *testing.T) {
	table := map[string][]step{
		"a request that was lost":         {silence, answer(&hello)},
		"an answer that was damaged":      {damaged(answer(&hello)), answer(&hello)},
		"two damaged and one lost answer": {damaged(answer(&hello)), damaged(answer(&hello)), silence, answer(&hello)},
	}
	for name, script := range table {
		t.Run(name, func(t *testing.T) {
			client, _ := startScripted(t, quick, script...)
			id, err := client.Identify(t.Context())
			if err != nil || id.BoardType != "test" {
				t.Fatalf("%+v, %v", id, err)
			}
			if got := client.Wire().Retries; got != len(script)-1 {
				t.Errorf("%d retries, want %d", got, len(script)-1)
			}
			if client.Waited() <= 0 {
				t.Error("no time was spent waiting")
			}
		})
	}
}

func TestADamagedAnswerIsAskedForAgainLongBeforeTheTimeOut(t *testing.T) {
	client, _ := startScripted(t, Options{Timeout: time.Hour, Settle: time.Millisecond}, damaged(answer(&hello)), answer(&hello))
	if _, err := client.Identify(t.Context()); err != nil {
		t.Error(err)
	}
}

// A board whose log runs into its frames may damage frames without end. Damage makes no wait longer than its time-out.
func TestDamagedFramesWithoutEndHoldNoRequestUp(t *testing.T) {
	near, far := net.Pipe()
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for {
			if _, err := io.WriteString(far, "\x06\x09damage\n"); err != nil {
				return
			}
		}
	}()
	swallowed := make(chan struct{})
	go func() { defer close(swallowed); _, _ = io.Copy(io.Discard, far) }() // ends with the pipe
	client := NewClient(near, Options{Answer: 100 * time.Millisecond, Settle: 100 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := client.Identify(ctx); !errors.Is(err, ErrDamagedFrames) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v before the end of the context", err, ErrDamagedFrames)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	far.Close()
	<-flooded
	<-swallowed
}

func TestASilentBoardIsAskedABoundedNumberOfTimes(t *testing.T) {
	options := quick
	options.Timeout, options.Retries = 10*time.Millisecond, 2
	client, _ := startScripted(t, options, silence)
	_, err := client.Identify(t.Context())
	if !errors.Is(err, ErrNoAnswer) || client.Wire().Retries != 2 {
		t.Errorf("%v after %d retries", err, client.Wire().Retries)
	}
}

func TestLateAndDuplicateAnswersAreIgnored(t *testing.T) {
	other := hello
	other.BoardType = "late"
	client, _ := startScripted(t, quick,
		both(answer(&hello), answer(&other)),
		func(h smp.Header, m []byte) []byte { // an answer to the request before this one, then the right answer
			before := h
			before.Sequence--
			return append(answer(&other)(before, m), answer(&hello)(h, m)...)
		})
	for range 2 {
		if id, err := client.Identify(t.Context()); err != nil || id.BoardType != "test" {
			t.Errorf("%+v, %v", id, err)
		}
	}
	if client.Ignored() != 2 {
		t.Errorf("%d answers ignored, want 2", client.Ignored())
	}
}

func TestARefusalIsNotAskedAgain(t *testing.T) {
	client, _ := startScripted(t, quick, refuse(8), answer(&hello))
	_, err := client.Identify(t.Context())
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.RC != 8 || !errors.Is(err, ErrNoHUK) || client.Wire().Retries != 0 {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerIsRefusedWhen(t *testing.T) {
	change := func(f func(*smp.HelloResponse)) step {
		h := hello
		f(&h)
		return answer(&h)
	}
	table := []struct {
		name   string
		answer step
		want   error
	}{
		{"it is of another protocol version", change(func(h *smp.HelloResponse) { h.Version = 3 }), ErrProtocolVersion},
		{"it is of version 0", change(func(h *smp.HelloResponse) { h.Version = 0 }), ErrProtocolVersion},
		{"its board type would move the cursor", change(func(h *smp.HelloResponse) { h.BoardType = "\x1b[2J" }), ErrMalformedAnswer},
		{"its firmware version is not ASCII", change(func(h *smp.HelloResponse) { h.Firmware = "1.0β" }), ErrMalformedAnswer},
		{"the name of its algorithm is not ASCII", change(func(h *smp.HelloResponse) { h.Algorithm = "ecdsa\x1b" }), ErrMalformedAnswer},
		{"its BoardID is no version 4 UUID", change(func(h *smp.HelloResponse) { h.ID = make([]byte, 16) }), ErrMalformedAnswer},
		{"its buffer is too small", change(func(h *smp.HelloResponse) { h.BufferSize = 64 }), ErrBufferTooSmall},
		{"it answers something else", answer(&smp.CSRResponse{DER: []byte{1}}), ErrMalformedAnswer},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			client, _ := startScripted(t, quick, row.answer)
			if _, err := client.Identify(t.Context()); !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
		})
	}
}

// A board of before names no algorithm, and its keys are P-256 keys.
func TestABoardNamesTheAlgorithmOfItsKeys(t *testing.T) {
	for said, want := range map[string]string{"": AlgorithmP256, AlgorithmP256: AlgorithmP256, "ml-dsa-44": "ml-dsa-44"} {
		h := hello
		h.Algorithm = said
		client, _ := startScripted(t, quick, answer(&h))
		if id, err := client.Identify(t.Context()); err != nil || id.Algorithm != want {
			t.Errorf("%q: %q, %v; want %q", said, id.Algorithm, err, want)
		}
	}
}

func TestAnUnpluggedLineIsReportedAtOnce(t *testing.T) {
	client, board := startScripted(t, Options{Timeout: time.Hour}, silence)
	go board.Close()
	if _, err := client.Identify(t.Context()); !errors.Is(err, ErrLineClosed) {
		t.Errorf("%v, want %v", err, ErrLineClosed)
	}
}

func TestACancelledCallEnds(t *testing.T) {
	cause := errors.New("the operator stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	client, _ := startScripted(t, Options{Timeout: time.Hour}, func(smp.Header, []byte) []byte { cancel(cause); return nil })
	if _, err := client.Identify(ctx); !errors.Is(err, cause) {
		t.Errorf("%v, want %v", err, cause)
	}
}

// flash is a board that stores a slot as PROTOCOL.md says.
func flash(held *[]byte) step {
	return func(h smp.Header, message []byte) []byte {
		if h.Group == smp.GroupOS {
			return answer(&smp.ParamsResponse{BufferSize: 256, BufferCount: 1})(h, message)
		}
		var piece smp.WriteSlot
		if _, err := smp.Parse(message, &piece); err != nil {
			panic(err)
		}
		*held = append((*held)[:piece.Offset], piece.Data...)
		return answer(&smp.WriteSlotResponse{Next: uint32(len(*held))})(h, message)
	}
}

func TestPiecesFitTheBuffer(t *testing.T) {
	for _, size := range []int{1, 150, 151, 300, 1024} {
		var held []byte
		client, board := startScripted(t, quick, flash(&held))
		der := bytes.Repeat([]byte{0x5a}, size)
		if err := client.Write(t.Context(), SlotAnchor, der); err != nil || !bytes.Equal(held, der) {
			t.Errorf("%d octets: board holds %d, %v", size, len(held), err)
		}
		for _, message := range board.asked {
			if len(message) > 256-bufferOverhead {
				t.Errorf("%d octets: a message of %d for a buffer of 256", size, len(message))
			}
		}
	}
}

func TestNothingTooLargeOrEmptyIsWritten(t *testing.T) {
	client, board := startScripted(t, quick, silence)
	for _, size := range []int{0, 1025} {
		if err := client.Write(t.Context(), SlotAnchor, make([]byte, size)); !errors.Is(err, ErrObjectSize) {
			t.Errorf("%d octets: %v", size, err)
		}
	}
	if len(board.asked) > 0 {
		t.Errorf("the board was asked %d times", len(board.asked))
	}
}

func TestAResetThatTheBoardDoesNotDoIsFound(t *testing.T) {
	brief := &smp.BriefResponse{ID: hello.ID, Boot: hello.Boot}
	client, _ := startScripted(t, quick, func(h smp.Header, m []byte) []byte {
		if h.Group == smp.GroupOS {
			return answer(&smp.Empty{})(h, m)
		}
		return answer(brief)(h, m)
	})
	if _, _, err := client.Reset(t.Context()); !errors.Is(err, ErrNotRestarted) {
		t.Errorf("%v, want %v", err, ErrNotRestarted)
	}
}

// The server of a board that has just started may drop a request. That must not cost the patience that a slow board gets.
func TestTheFirstRequestAfterAResetIsSentAgainSoon(t *testing.T) {
	restarted := &smp.BriefResponse{ID: hello.ID, Boot: []byte("bootnext")}
	client, board := startScripted(t, Options{Answer: time.Hour, Timeout: time.Hour},
		answer(&hello), answer(&smp.Empty{}), answer(restarted), silence, answer(&hello), answer(&hello))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := client.Identify(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := client.Identify(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if asked := len(board.asked); asked != 6 || client.Wire().Retries != 0 {
		t.Errorf("asked %d times with %d retries, want 6 and 0: a dropped request at the start is no noise", asked, client.Wire().Retries)
	}
}

func TestConsoleTextIsKeptBoundedAndNewestLast(t *testing.T) {
	client, _ := startScripted(t, quick, said("first words\n", answer(&hello)), said(strings.Repeat("x", consoleSize), answer(&hello)), said("last words\n", answer(&hello)))
	for _, want := range []string{"first words\n", strings.Repeat("x", consoleSize), strings.Repeat("x", consoleSize-11) + "last words\n"} {
		if _, err := client.Identify(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := string(client.Console()); got != want {
			t.Errorf("console of %d octets ends in %q", len(got), got[max(0, len(got)-20):])
		}
	}
}

func TestAfterDetachTheLineBelongsToTheNextClient(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	go (&scripted{Conn: far}).run([]step{answer(&hello)})
	for range 3 {
		client := NewClient(near, quick)
		if _, err := client.Identify(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := client.Detach(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Identify(t.Context()); !errors.Is(err, ErrLineClosed) {
			t.Errorf("after Detach: %v", err)
		}
	}
}

// The words and numbers of refusals stand in three files, which must agree.
func TestTheTableOfRefusalsIsTheOneOfTheProtocolAndOfTheCore(t *testing.T) {
	protocol, header := file(t, "../PROTOCOL.md"), file(t, "firmware/include/prov/errors.h")
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| ([a-z-]+) \| (.+) \|$`).FindAllStringSubmatch(protocol, -1)
	known := 0
	for _, row := range refusals {
		if row.grouped {
			known++
		}
	}
	if len(rows) != known {
		t.Fatalf("PROTOCOL.md has %d rows, this package %d", len(rows), known)
	}
	for _, row := range rows {
		rc, err := strconv.ParseUint(row[1], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		refusal := &Refusal{Grouped: true, Group: smp.GroupProvisioning, RC: uint32(rc)}
		if is := refusal.sentinel(); is.Word() != row[2] || is.Error() != row[3] {
			t.Errorf("rc %d is %q, %q; PROTOCOL.md says %q, %q", rc, is.Word(), is, row[2], row[3])
		}
		name := "PROV_ERR_" + strings.ToUpper(strings.ReplaceAll(row[2], "-", "_"))
		if !strings.Contains(header, fmt.Sprintf("%s = -%d,", name, rc)) {
			t.Errorf("errors.h does not have %s = -%d", name, rc)
		}
	}
	if err := (&Refusal{Grouped: true, Group: 1, RC: 1}); !errors.Is(err, ErrUnknownRefusal) {
		t.Errorf("another group's code is %v", err)
	}
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
