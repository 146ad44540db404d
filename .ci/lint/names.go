package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
)

// A name is a declared name in a Go file.
type name struct {
	file string
	line int
	kind kind
	text string
}

func (n name) folder() string { return path.Dir(n.file) }

// key identifies a name in exceptions.txt. It has no line number, so it stays the same when lines move.
func (n name) key() string { return fmt.Sprintf("%s: %s %s", n.file, n.kind, n.text) }

// parts splits a name into its words, in lower case: HSMView2 is [hsm view 2], same_story is [same story].
func (n name) parts() []string {
	letters := []rune(n.text)
	var parts []string
	start := 0
	for i := range letters {
		if i == len(letters)-1 || ends(letters, i) {
			if part := strings.Trim(string(letters[start:i+1]), "_"); part != "" {
				parts = append(parts, strings.ToLower(part))
			}
			start = i + 1
		}
	}
	return parts
}

// ends reports whether a word of a name ends with letter i. In HSMView the first word ends with M.
func ends(letters []rune, i int) bool {
	this, next := letters[i], letters[i+1]
	switch {
	case this == '_' || next == '_' || unicode.IsDigit(this) != unicode.IsDigit(next):
		return true
	case unicode.IsUpper(next):
		return !unicode.IsUpper(this) || i+2 < len(letters) && unicode.IsLower(letters[i+2])
	}
	return false
}

// names returns all names in the Go files below root. It leaves out test data and the folders that git ignores.
func names(root fs.FS) ([]name, error) {
	var found []name
	packages := map[string]bool{}
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".cache", "build", "testdata"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(file) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		inFile, err := namesIn(file, text)
		for _, n := range inFile {
			if n.kind == aPackage {
				name := path.Join(n.folder(), n.text)
				if packages[name] {
					continue // each file of a package has the package name: report it once
				}
				packages[name] = true
			}
			found = append(found, n)
		}
		return err
	})
	return found, err
}

func namesIn(file string, text []byte) ([]name, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	c := &collector{file: file, set: set}
	folder := path.Base(path.Dir(file))
	c.add(aFile, strings.TrimSuffix(strings.TrimSuffix(path.Base(file), ".go"), "_test"), tree.Package)
	c.add(aPackage, strings.TrimSuffix(tree.Name.Name, "_test"), tree.Package)
	if folder != "." {
		c.add(aPackage, folder, tree.Package)
	}
	for _, declared := range tree.Decls {
		c.declaration(declared)
	}
	ast.Inspect(tree, c.types)
	return c.names, nil
}

// A collector gathers the names of one file.
type collector struct {
	file  string
	set   *token.FileSet
	names []name
}

func (c *collector) add(k kind, text string, at token.Pos) {
	c.names = append(c.names, name{c.file, c.set.Position(at).Line, k, text})
}

func (c *collector) exported(k kind, names []*ast.Ident) {
	for _, n := range names {
		if n.IsExported() {
			c.add(k, n.Name, n.Pos())
		}
	}
}

func (c *collector) declaration(declared ast.Decl) {
	switch d := declared.(type) {
	case *ast.FuncDecl:
		k := aFunction
		if d.Recv != nil {
			k = aMethod
		}
		c.add(k, d.Name.Name, d.Name.Pos())
	case *ast.GenDecl:
		k := aVariable
		if d.Tok == token.CONST {
			k = aConstant
		}
		for _, spec := range d.Specs {
			if values, ok := spec.(*ast.ValueSpec); ok {
				c.exported(k, values.Names)
			}
		}
	}
}

// types adds the names of a type, its fields and its methods, also for a type inside a function.
func (c *collector) types(node ast.Node) bool {
	switch t := node.(type) {
	case *ast.TypeSpec:
		c.add(aType, t.Name.Name, t.Name.Pos())
	case *ast.StructType:
		for _, field := range t.Fields.List {
			c.exported(aField, field.Names)
		}
	case *ast.InterfaceType:
		for _, method := range t.Methods.List {
			for _, n := range method.Names {
				c.add(aMethod, n.Name, n.Pos())
			}
		}
	}
	return true
}
