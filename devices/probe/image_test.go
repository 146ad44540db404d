package probe

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// record makes a record of an Intel hex file, with its checksum.
func record(kind byte, offset uint16, data ...byte) string {
	raw := append([]byte{byte(len(data)), byte(offset >> 8), byte(offset), kind}, data...)
	var sum byte
	for _, octet := range raw {
		sum -= octet
	}
	return ":" + strings.ToUpper(hex.EncodeToString(append(raw, sum))) + "\n"
}

// program is one program header of a test's elf file.
type program struct {
	kind      elf.ProgType
	address   uint32
	data      string
	claimSize uint32 // 0: the real size
}

// elfFile makes a 32-bit Arm executable whose virtual addresses differ from the physical ones.
func elfFile(programs ...program) []byte {
	const header, entry = 52, 32
	var heads, body bytes.Buffer
	offset := uint32(header + entry*len(programs))
	for _, p := range programs {
		size := max(p.claimSize, uint32(len(p.data)))
		_ = binary.Write(&heads, binary.LittleEndian, elf.Prog32{
			Type: uint32(p.kind), Off: offset + uint32(body.Len()), Vaddr: 0x2000_0000, Paddr: p.address, Filesz: size, Memsz: size + 64,
		}) // a bytes.Buffer takes every write
		body.WriteString(p.data)
	}
	head := elf.Header32{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_ARM), Version: 1, Phoff: header, Ehsize: header,
		Phentsize: entry, Phnum: uint16(len(programs)), Shentsize: 40,
	}
	copy(head.Ident[:], "\x7fELF\x01\x01\x01")
	var file bytes.Buffer
	_ = binary.Write(&file, binary.LittleEndian, head)
	file.Write(heads.Bytes())
	file.Write(body.Bytes())
	return file.Bytes()
}

func TestImagesAreRead(t *testing.T) {
	const end = ":00000001FF\n"
	for _, test := range []struct {
		name, file, text string
		want             []Segment
	}{
		{"a raw file lies at its base", "fw.bin", "abcd", []Segment{{0x8000, []byte("abcd")}}},
		{"a raw file may begin with a colon", "fw.BIN", ":abc", []Segment{{0x8000, []byte(":abc")}}},
		{"a hex file has addresses of its own", "fw.hex", record(hexData, 0x10, 'a', 'b') + end, []Segment{{0x10, []byte("ab")}}},
		{"neighbours in a hex file become one segment", "fw", record(hexData, 2, 'c') + record(hexData, 0, 'a', 'b') + end, []Segment{{0, []byte("abc")}}},
		{"a gap in a hex file stays", "fw.hex", record(hexData, 0, 'a') + record(hexData, 2, 'c') + end, []Segment{{0, []byte("a")}, {2, []byte("c")}}},
		{"a hex file above 64 KiB", "fw.hex", record(hexLinearAddress, 0, 0x10, 0x00) + record(hexData, 0x1208, 0) + end, []Segment{{0x1000_1208, []byte{0}}}},
		{"a hex file with segments", "fw.hex", record(hexSegmentAddress, 0, 0x10, 0x00) + record(hexData, 4, 1) + record(hexSegmentStart, 0, 0, 0, 0, 0) + end, []Segment{{0x1_0004, []byte{1}}}},
		{"a hex file of another system", "fw.hex", strings.ReplaceAll(record(hexData, 0, 7)+end+"\n", "\n", "\r\n"), []Segment{{0, []byte{7}}}},
		{"an elf file lies at its physical addresses", "fw.elf", string(elfFile(program{elf.PT_LOAD, 0x100, "text", 0}, program{elf.PT_NOTE, 0, "note", 0}, program{elf.PT_LOAD, 0x104, "data", 0})), []Segment{{0x100, []byte("textdata")}}},
		{"the contents decide, not the ending", "fw.bin", string(elfFile(program{elf.PT_LOAD, 0, "text", 0})), []Segment{{0, []byte("text")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			image, err := ReadImage(path, 0x8000)
			if err != nil {
				t.Fatal(err)
			}
			same := func(a, b Segment) bool { return a.Address == b.Address && bytes.Equal(a.Data, b.Data) }
			if !slices.EqualFunc(image.Segments, test.want, same) || image.Name != test.file {
				t.Errorf("got %s: %x, want %x", image.Name, image.Segments, test.want)
			}
		})
	}
}

func TestImagesAreRefused(t *testing.T) {
	const end = ":00000001FF\n"
	whole := elfFile(program{elf.PT_LOAD, 0, "text", 0})
	object := bytes.Clone(whole)
	object[16] = byte(elf.ET_REL)
	for _, test := range []struct{ name, file, text string }{
		{"nothing", "fw.bin", ""},
		{"a text", "fw.txt", "firmware"},
		{"a hex file without its end", "fw.hex", record(hexData, 0, 1)},
		{"a hex file without data", "fw.hex", end},
		{"a hex file that goes on after its end", "fw.hex", end + record(hexData, 0, 1)},
		{"a record with a wrong checksum", "fw.hex", ":0100000001FF\n" + end},
		{"a record that is too short", "fw.hex", ":0000\n" + end},
		{"a record with a wrong length", "fw.hex", ":02000000010000FD\n" + end},
		{"a record that is not hexadecimal", "fw.hex", ":0100000xxx\n" + end},
		{"a record of an unknown type", "fw.hex", record(9, 0) + end},
		{"two records with one address", "fw.hex", record(hexData, 0, 1, 2) + record(hexData, 1, 2) + end},
		{"an elf file that was cut", "fw.elf", string(whole[:len(whole)-2])},
		{"an elf file without its headers", "fw.elf", string(whole[:40])},
		{"an object file", "fw.o", string(object)},
		{"an elf file that claims more than it has", "fw.elf", string(elfFile(program{elf.PT_LOAD, 0, "text", 1 << 30}))},
		{"an elf file whose parts are the same octets", "fw.elf", string(elfFile(program{elf.PT_LOAD, 0, "", 200}, program{elf.PT_LOAD, 0x1000, strings.Repeat("x", 200), 0}))},
		{"an elf file that loads nothing", "fw.elf", string(elfFile(program{elf.PT_NOTE, 0, "text", 0}))},
		{"octets past the last address", "fw.elf", string(elfFile(program{elf.PT_LOAD, 0xffff_fffe, "text", 0}))},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ParseImage(test.file, []byte(test.text), 0); !errors.Is(err, ErrImageFormat) {
				t.Errorf("got %v, want %v", err, ErrImageFormat)
			}
		})
	}
}

func TestImagesThatCannotBeRead(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.bin")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, MaxImage+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none.elf"), t.TempDir(), large} {
		if _, err := ReadImage(path, 0); !errors.Is(err, ErrUnreadableImage) {
			t.Errorf("%s: got %v, want %v", path, err, ErrUnreadableImage)
		}
	}
}

func TestTheHashOfAnImage(t *testing.T) {
	image, err := ParseImage("fw.bin", []byte("abc"), 0)
	if err != nil {
		t.Fatal(err)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2 appendix B.1
	if err := image.CheckSHA256(strings.ToUpper(abc)); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"", abc[1:], strings.Repeat("0", 64)} {
		if err := image.CheckSHA256(other); !errors.Is(err, ErrImageHash) {
			t.Errorf("%q: got %v", other, err)
		}
	}
}

// Whatever an image file holds, its segments are in order, do not overlap, stay in the address space, and are the same after Hex.
func FuzzImage(f *testing.F) {
	f.Add("fw.hex", record(hexData, 0, 1)+":00000001FF\n")
	f.Add("fw.elf", string(elfFile(program{elf.PT_LOAD, 0, "text", 0})))
	f.Add("fw.bin", "abc")
	f.Add("far.hex", record(hexLinearAddress, 0, 0x10, 0)+record(hexData, 0xfffe, 1, 2)+record(hexLinearAddress, 0, 0x10, 1)+record(hexData, 0, 3)+":00000001FF\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		image, err := ParseImage(name, []byte(text), 0)
		if err != nil {
			if !errors.Is(err, ErrImageFormat) {
				t.Fatal(err)
			}
			return
		}
		end := uint64(0)
		for i, s := range image.Segments {
			if len(s.Data) == 0 || i > 0 && uint64(s.Address) <= end {
				t.Fatalf("segment %d at %#x after %#x", i, s.Address, end)
			}
			end = s.End()
		}
		again, err := ParseImage("again.hex", image.Hex(), 0)
		if err != nil || !reflect.DeepEqual(again.Segments, image.Segments) {
			t.Fatalf("as hex: %v", err)
		}
		if end > 1<<32 || image.Size() > len(text) {
			t.Fatalf("ends at %#x, %d octets of %d", end, image.Size(), len(text))
		}
	})
}
