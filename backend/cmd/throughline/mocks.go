package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/throughline/throughline/backend/mocks"
	"github.com/throughline/throughline/backend/system"
)

func mocksCommand() *cobra.Command {
	var c mocks.Config
	cmd := &cobra.Command{
		Use:   "mocks",
		Short: "Make the example services' data",
		Long: `Make the data of the example services: articles, and for each the ids of those
suggested beside it. Suggestions are distinct, exist, and are never the article
itself. The same seed gives the same files.

Inside a checkout the files go where the services read them. A running service
reads its file at its start, so restart it to see new data.`,
		Example: `  throughline mocks --articles 10 --suggestions 5
  throughline mocks --articles 1000000 --suggestions 5 --seed 7 --articles-file a.json --suggestions-file s.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := defaultFiles(&c); err != nil {
				return err
			}
			c.Progress = progress(cmd.ErrOrStderr(), "writing")
			if err := mocks.Write(cmd.Context(), c); err != nil {
				if errors.Is(err, mocks.ErrCounts) {
					return &usageError{err}
				}
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d articles\n%s: %d suggestions for each\n",
				c.ArticlesFile, c.Articles, c.SuggestionsFile, c.Suggestions)
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Articles, "articles", 10, "number of articles")
	f.IntVar(&c.Suggestions, "suggestions", 5, "number of suggestions for each article")
	f.Uint64Var(&c.Seed, "seed", 1, "seed of the data set")
	f.StringVar(&c.ArticlesFile, "articles-file", "", "where the articles go (default: the checkout's apps/articles/mocks/articles.json)")
	f.StringVar(&c.SuggestionsFile, "suggestions-file", "", "where the suggestions go (default: the checkout's apps/suggestions/mocks/suggestions.json)")
	return cmd
}

// defaultFiles fills in the checkout's paths where none are given.
func defaultFiles(c *mocks.Config) error {
	if c.ArticlesFile != "" && c.SuggestionsFile != "" {
		return nil
	}
	checkout, err := system.FindCheckout(".")
	if err != nil {
		return fmt.Errorf("%w; or name both files with --articles-file and --suggestions-file", err)
	}
	if c.ArticlesFile == "" {
		c.ArticlesFile = checkout.ArticlesFile()
	}
	if c.SuggestionsFile == "" {
		c.SuggestionsFile = checkout.SuggestionsFile()
	}
	return nil
}

// progress draws a bar when w is a terminal.
func progress(w io.Writer, doing string) func(done, total int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total,
				progressbar.OptionSetWriter(w),
				progressbar.OptionSetDescription(doing),
				progressbar.OptionShowCount(),
				progressbar.OptionClearOnFinish())
		}
		// The bar is redrawn a hundred times, not once an entry.
		if done == total || done%max(1, total/100) == 0 {
			bar.Set(done)
		}
	}
}
