package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *command) acceptRegistryCommand() *cobra.Command {
	var operator string
	cmd := &cobra.Command{
		Use:   "accept-registry",
		Short: "Goes on with a registry that lacks its newest entries, or ends with acts that nobody signed; on record",
		Long: `accept-registry goes on with a registry.db that ends with acts of persons that no checkpoint covers (acts-unsigned):
ask these persons first. It also goes on with a registry.db that does not fit its mark, for example after the disk
with the newest registry.db was lost. Every other command refuses such a registry. The audit log
says who accepted the registry, and how many entries are missing. Boards that were enrolled in the
missing entries hold certificates that the registry does not know: the station rejects them as
foreign-certificate until their flash is erased. Revocations in the missing entries are gone, too: put
the last published CRL at pki/issuing.crl, and revoke its certificates again.

First look for the newest registry.db together with its registry.db-wal, and keep a copy of all.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := workdir.Existing(c.dir)
			if err != nil {
				return err
			}
			if operator == "" {
				return reason.Usage(errors.New("--operator is missing: want the name of the person who accepts the registry"))
			}
			if err := reason.CheckOptional("--operator", operator); err != nil {
				return reason.Usage(err)
			}
			opened, err := instance.Open(cmd.Context(), dir, instance.Options{AcceptRegistry: operator})
			if err != nil {
				return err
			}
			if err := opened.Close(); err != nil {
				return err
			}
			text := "the registry fits its mark, and a checkpoint covers each act: there is nothing to accept"
			for _, accepted := range opened.Registry.Accepted() {
				text = "the registry is accepted, on record; see `station audit show`"
				fmt.Fprintln(c.out, "accepted:", reason.OneLine(accepted))
			}
			_, err = fmt.Fprintln(c.out, text)
			return err
		},
	}
	cmd.Flags().StringVar(&operator, "operator", "", "name of the person who accepts the registry, for the audit log (required)")
	return cmd
}
