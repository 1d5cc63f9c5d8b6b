package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/backend/client"
)

// completeTime is how long a shell waits for names to offer.
const completeTime = 2 * time.Second

// completeServices offers the names of the services of the server that the
// command line speaks of; when it does not answer soon, none.
func (c *connection) completeServices(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
	defer cancel()
	cmd.SetContext(ctx)
	cmd.SetErr(io.Discard)
	services, err := ask(cmd, c, func(ctx context.Context, cl client.Client) ([]client.Service, error) { return cl.Services(ctx) })
	var names []cobra.Completion
	if err == nil {
		for _, s := range services {
			names = append(names, s.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
