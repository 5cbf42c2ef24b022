package main

import (
	"context"

	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	scaleway "github.com/scaleway/terraform-provider-scaleway/v2/provider"
)

const (
	packageName = "scaleway"
	// version is the release of the Python package pulumiverse-scaleway whose
	// tokens and properties this provider serves.
	version = "1.55.1"
)

// modules maps the first words of a Terraform name to the Pulumi module of the
// Python package that holds it.
var modules = map[string]string{
	"account":       "account",
	"annotations":   "annotations",
	"apple_silicon": "applesilicon",
	"audit_trail":   "audittrail",
	"autoscaling":   "autoscaling",
	"baremetal":     "elasticmetal",
	"billing":       "billing",
	"block":         "block",
	"cockpit":       "observability",
	"container":     "containers",
	"datalab":       "datalab",
	"datawarehouse": "datawarehouse",
	"domain":        "domain",
	"edge_services": "edgeservices",
	"flexible":      "elasticmetal",
	"function":      "functions",
	"iam":           "iam",
	"inference":     "inference",
	"instance":      "instance",
	"interlink":     "interlink",
	"iot":           "iot",
	"ipam":          "ipam",
	"job":           "job",
	"k8s":           "kubernetes",
	"kafka":         "kafka",
	"key_manager":   "keymanager",
	"lb":            "loadbalancers",
	"mnq":           "mnq",
	"mongodb":       "mongodb",
	"object":        "object",
	"opensearch":    "opensearch",
	"rdb":           "databases",
	"redis":         "redis",
	"registry":      "registry",
	"s2s_vpn":       "s2svpn",
	"secret":        "secrets",
	"tem":           "tem",
	"vpc":           "network",
}

// named lists the resources whose Pulumi name does not follow from the rule.
var named = map[string][2]string{
	"scaleway_cockpit":          {"observability", "Cockpit"},
	"scaleway_container":        {"containers", "Container"},
	"scaleway_datalab":          {"datalab", "Datalab"},
	"scaleway_function":         {"functions", "Function"},
	"scaleway_lb":               {"loadbalancers", "LoadBalancer"},
	"scaleway_object":           {"object", "Item"},
	"scaleway_sdb_sql_database": {"databases", "ServerlessDatabase"},
	"scaleway_secret":           {"secrets", "Secret"},
	"scaleway_vpc":              {"network", "Vpc"},
	"scaleway_webhosting":       {"hosting", "Hosting"},
}

// namedData does the same for data sources.
var namedData = map[string][2]string{
	"scaleway_availability_zones": {"account", "getAvailabilityZones"},
	"scaleway_cockpit":            {"observability", "getInstance"},
	"scaleway_container":          {"containers", "getContainer"},
	"scaleway_datalab":            {"datalab", "getDatalab"},
	"scaleway_datalabs":           {"datalab", "getDatalabs"},
	"scaleway_function":           {"functions", "getFunction"},
	"scaleway_lb":                 {"loadbalancers", "getLoadBalancer"},
	"scaleway_lbs":                {"loadbalancers", "getLoadBalancers"},
	"scaleway_object":             {"object", "get"},
	"scaleway_secret":             {"secrets", "getSecret"},
	"scaleway_vpc":                {"network", "getVpc"},
	"scaleway_vpcs":               {"network", "getVpcs"},
	"scaleway_webhosting":         {"hosting", "getHosting"},
	"scaleway_webhosting_offer":   {"hosting", "getOffer"},
}

// provider describes the Scaleway package: the Terraform provider's two halves
// muxed, each Terraform name given its Pulumi token. metadata is what `schema`
// computed, or an empty JSON object while it computes.
func provider(metadata []byte) tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P: pfbridge.MuxShimWithPF(context.Background(),
			shimv2.NewProvider(scaleway.SDKProvider(nil)()),
			scaleway.NewFrameworkProvider(nil)()),
		Name:                    packageName,
		Version:                 version,
		DisplayName:             "Scaleway",
		Publisher:               "pulumiverse",
		GitHubOrg:               "scaleway",
		TFProviderModuleVersion: "v2",
		MetadataInfo:            tfbridge.NewProviderMetadata(metadata),
		UpstreamRepoPath:        ".",
		Config: map[string]*tfbridge.SchemaInfo{
			"access_key":      fromEnvironment("SCW_ACCESS_KEY"),
			"secret_key":      fromEnvironment("SCW_SECRET_KEY"),
			"organization_id": fromEnvironment("SCW_DEFAULT_ORGANIZATION_ID"),
			"project_id":      fromEnvironment("SCW_DEFAULT_PROJECT_ID"),
			"region":          fromEnvironment("SCW_DEFAULT_REGION"),
			"zone":            fromEnvironment("SCW_DEFAULT_ZONE"),
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			// The package was written when these two were lists.
			"scaleway_container": {Fields: map[string]*tfbridge.SchemaInfo{"health_check": {
				Name:        "healthChecks",
				MaxItemsOne: tfbridge.False(),
				Elem: &tfbridge.SchemaInfo{Fields: map[string]*tfbridge.SchemaInfo{"http": {
					Name:        "https",
					MaxItemsOne: tfbridge.False(),
				}}},
			}}},
			// A property named like its resource clashes in generated SDKs.
			"scaleway_container_token": {Fields: map[string]*tfbridge.SchemaInfo{"token": {Name: "value"}}},
			"scaleway_function_token":  {Fields: map[string]*tfbridge.SchemaInfo{"token": {Name: "value"}}},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{},
	}
	standard := tokens.MakeStandard(packageName)
	for terraform, name := range named {
		resource := info.Resources[terraform]
		if resource == nil {
			resource = &tfbridge.ResourceInfo{}
			info.Resources[terraform] = resource
		}
		resource.Tok = tfbridge.MakeResource(packageName, name[0], name[1])
	}
	for terraform, name := range namedData {
		info.DataSources[terraform] = &tfbridge.DataSourceInfo{Tok: tfbridge.MakeDataSource(packageName, name[0], name[1])}
	}
	prefixes := make(map[string]string, len(modules))
	for prefix, module := range modules {
		prefixes[prefix+"_"] = module
	}
	info.MustComputeTokens(tokens.MappedModules(packageName+"_", "index", prefixes, standard))
	return info
}

// fromEnvironment gives a provider setting the environment variable it is read
// from when a program leaves it out.
func fromEnvironment(variable string) *tfbridge.SchemaInfo {
	return &tfbridge.SchemaInfo{Default: &tfbridge.DefaultInfo{EnvVars: []string{variable}}}
}
