package evidence

import (
	"bytes"
	"regexp"
	"strconv"
)

// edition is the version of README.txt and check.py. Each change of one of them needs a new one, and
// the digests of the edition before in earlier: then a checker knows the texts of each edition up to
// its own, and a changed text is found.
const edition = 7

// firstWithQuestion is the first edition in which a part has the question and the script.
const firstWithQuestion = 4

// firstWithRefused is the first edition whose list of boards has boards that were refused.
const firstWithRefused = 6

// earlier has the digests of the texts of editions before this one.
var earlier = map[string]map[int]digest{
	ReadmeFile: {1: digestOf("1b6c63c24ee9f6bdbba0f1a72bbf58c44fea6914f2513552a58be16d1d1008a1"), 2: digestOf("a48e8437a7755ac2340fffa16fa5eaaa6b1ae394f9befa2e837f7b837b299cf7"),
		3: digestOf("f9b3474801bdffa260c395703ec461b2d00c54f3266cd6d545d08ae8dced0a4e"), 4: digestOf("26527bd0841031779a67e7a5a5801527be8a0b4f1fc4987f919f5855ca26a965"),
		5: digestOf("c9a75cfc79c033abc6f87f28fe1e1d4ea3cc0614fd1c86138cc795d4c4aaf4c4"), 6: digestOf("8ffc9ac8bba78d25a8bf14a2249790ca3f940d4754cae7b5bb11ab69699417d7")},
	ScriptFile: {1: digestOf("f72adb7af336a9ab07b80eafa34c866406cbf8f30d4a152b0d6cac0ee9f6cae6"), 2: digestOf("6f5f4aa467ea7694c5a546a687c06dda47accd23a0e50963f10d0f0bd4be0f6c"),
		3: digestOf("3e2172ce0e20c89d6f9c54ebe1227e77edb9763b15a18346f1ef503ab1845e45"), 4: digestOf("877498ce4566aa85bba53bc01f8d055545724490611a35974721811e51cd14af"),
		5: digestOf("01b7b6ffe06467cc15ff8443ed47339cf1931e5821d7622ee85d4e248de2702d"), 6: digestOf("a8f8cc42d1cdd6e1a0cfb519a9fb22b6a6e84dbaea02a921ff68f605fedec29b")},
}

// editionOf finds the edition in one of the first lines of a text.
var editionOf = regexp.MustCompile(`(?m)^(?:# )?Edition ([0-9]+)\.$`)

// checkTexts compares README.txt and check.py with those that a station writes. An early part has no script. A text of a later
// edition is taken only from a bundle that the audit key has signed: the number alone says nothing, because whoever changes
// the text can change the number of each file.
func (c *checker) checkTexts() error {
	if err := c.checkText(ReadmeFile, readme); err != nil || c.verdict.Part && c.editionOfBundle() < firstWithQuestion {
		return err
	}
	return c.checkText(ScriptFile, script)
}

// editionOfBundle gives the edition that README.txt names. A README.txt without one is a finding of checkTexts, and
// counts as one of this edition.
func (c *checker) editionOfBundle() int {
	content, err := c.files.Read(ReadmeFile)
	if err != nil {
		return edition
	}
	found := editionOf.FindSubmatch(content[:min(len(content), 200)])
	if found == nil {
		return edition
	}
	number, err := strconv.Atoi(string(found[1]))
	if err != nil {
		return edition
	}
	return number
}

func (c *checker) checkText(name string, own []byte) error {
	content, err := c.read(name)
	if err != nil || content == nil || bytes.Equal(content, own) {
		return err
	}
	found := editionOf.FindSubmatch(content[:min(len(content), 200)])
	if found == nil {
		return c.find(-1, name, "the file was changed: it has no edition, and each edition that a station writes has one")
	}
	number, err := strconv.Atoi(string(found[1]))
	if err == nil && number > edition && c.verdict.Signed == nil {
		return c.find(-1, name, "it says that it is of edition %d, and this auditcheck knows the editions up to %d: nobody signed the bundle, so anybody can have written the file; check the bundle with the auditcheck of the station that made it", number, edition)
	}
	if err == nil && number > edition {
		c.skip(name, "it is of edition "+string(found[1])+", and this auditcheck knows the editions up to "+strconv.Itoa(edition)+": check the bundle with a newer auditcheck, or read the file before you use it")
		return nil
	}
	if sum, err := c.files.sum(name); err != nil || sum != earlier[name][number] || sum == (digest{}) {
		return c.find(-1, name, "the file was changed: it is not the one of its edition")
	}
	return nil
}
