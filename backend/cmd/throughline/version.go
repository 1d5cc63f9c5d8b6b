package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// version is that of the module, as go install records it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func versionCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Long:    "Say which version this is, of which commit when it is known, and what it was built with.",
		Example: "  throughline version\n  throughline version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			commit := revision()
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if json {
				return writeJSON(cmd.OutOrStdout(), map[string]string{
					"version": version(), "commit": commit, "go": runtime.Version(), "platform": platform,
				})
			}
			text := "throughline " + version()
			if commit != "" {
				text += " (" + commit + ")"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, %s\n", text, runtime.Version(), platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&json, "json", false, "write one JSON object")
	return cmd
}

// revision is the commit that this was built of, if the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + dirty
}

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into a directory",
		Long:  "Write a manual page for each command, in section 1, into a directory that is there.",
		Example: `  mkdir -p ~/.local/share/man/man1 && throughline man ~/.local/share/man/man1
  man throughline-search`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true // the pages of one version are always the same
			return doc.GenManTree(root, &doc.GenManHeader{Title: "THROUGHLINE", Section: "1", Source: "Throughline", Manual: "Throughline"}, args[0])
		},
	}
}
