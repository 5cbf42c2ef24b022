// Command pulumi-resource-scaleway serves the Scaleway provider to the Pulumi
// engine: the Terraform provider's own code behind Pulumi's bridge.
//
// The engine starts it without a subcommand. Before that, it has to be asked
// once for the schema the bridge serves and the metadata it insists on:
//
//	pulumi-resource-scaleway schema -o DIR
//
// writes schema.json and bridge-metadata.json into DIR, which must be the
// folder the program itself lies in: that is where it reads them from.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "schema" {
		tfgen.MainWithMuxer(packageName, provider([]byte("{}")))
		return
	}
	schema, metadata, err := generated()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-scaleway:", err)
		os.Exit(1)
	}
	pfbridge.MainWithMuxer(context.Background(), packageName, provider(metadata), schema)
}

// generated reads what `schema` wrote beside this program.
func generated() (schema, metadata []byte, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	if schema, err = os.ReadFile(filepath.Join(filepath.Dir(program), "schema.json")); err != nil {
		return nil, nil, err
	}
	metadata, err = os.ReadFile(filepath.Join(filepath.Dir(program), "bridge-metadata.json"))
	return schema, metadata, err
}
