package deploy

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

	tracing "github.com/throughline/throughline/tracing/go"
)

// composeFiles are the stacks, each a file of its own.
var composeFiles = []string{
	"docker-compose.yaml", "jaeger/docker-compose.yaml", "grafana/docker-compose.yaml", "collector/docker-compose.yaml",
}

// load reads a compose file as `docker compose -f` does.
func load(t *testing.T, file string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, file)})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return project
}

func loadAll(t *testing.T) map[string]*types.Project {
	projects := map[string]*types.Project{}
	for _, file := range composeFiles {
		projects[file] = load(t, file)
	}
	return projects
}

func TestComposeProjectsAreApart(t *testing.T) {
	names := map[string]string{}
	for file, project := range loadAll(t) {
		if other := names[project.Name]; other != "" {
			t.Errorf("%s and %s are both project %q: each would take the other's containers for orphans", file, other, project.Name)
		}
		names[project.Name] = file
		if regexp.MustCompile(`(?m)^version:`).MatchString(read(t, file)) {
			t.Errorf("%s has the obsolete version", file)
		}
	}
}

// Whichever stack is started first makes the network, so that no order is wrong.
func TestComposeStacksShareTheNetwork(t *testing.T) {
	for file, project := range loadAll(t) {
		if got := slices.Collect(maps.Keys(project.Networks)); !slices.Equal(got, []string{"tracing"}) {
			t.Errorf("%s: networks %v, want tracing alone: a stack that has another key for the network's name cannot use it", file, got)
			continue
		}
		network := project.Networks["tracing"]
		if network.Name != "throughline-tracing" || bool(network.External) {
			t.Errorf("%s: network %q, external %v", file, network.Name, network.External)
		}
		for name, s := range project.Services {
			if _, ok := s.Networks["tracing"]; !ok && s.NetworkMode != "none" {
				t.Errorf("%s: %s is not on the network", file, name)
			}
		}
	}
}

func TestComposePortsAreOfThisMachineAlone(t *testing.T) {
	taken := map[string]string{}
	for file, project := range loadAll(t) {
		for name, s := range project.Services {
			for _, p := range s.Ports {
				if !net.ParseIP(p.HostIP).IsLoopback() {
					t.Errorf("%s: %s publishes %s on %q", file, name, p.Published, p.HostIP)
				}
				if other := taken[p.Published]; other != "" {
					t.Errorf("port %s is of %s and of %s in %s", p.Published, other, name, file)
				}
				taken[p.Published] = name
			}
		}
	}
	for port, service := range map[string]string{
		"8001": "articles", "8002": "suggestions", "16686": "throughline", "4317": "throughline", "4318": "throughline",
		"16687": "jaeger", "3000": "grafana", "3200": "tempo", "9090": "prometheus", "34317": "collector",
	} {
		if taken[port] != service {
			t.Errorf("port %s is %q's, want %s's", port, taken[port], service)
		}
	}
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+\.\d+$`)

// An image is a version, with the release that it is and that it was not pulled.
func TestComposeImagesArePinned(t *testing.T) {
	for file, project := range loadAll(t) {
		text := read(t, file)
		for name, s := range project.Services {
			if s.Build != nil {
				if s.Image != "" {
					t.Errorf("%s: %s is built and has an image", file, name)
				}
				continue
			}
			if !pinned.MatchString(s.Image) {
				t.Errorf("%s: %s: image %q is not pinned by a whole version", file, name, s.Image)
			}
			_, version, _ := strings.Cut(s.Image, ":")
			for before := range strings.SplitSeq(text, "image: "+s.Image+"\n") {
				if before == text || strings.HasSuffix(text, before) {
					continue // what follows the last
				}
				comment := before[strings.LastIndex(before, ":\n")+1:]
				if !strings.Contains(comment, "# Release") || !strings.Contains(comment, strings.TrimPrefix(version, "v")) || !strings.Contains(comment, "not pulled here.") {
					t.Errorf("%s: %s: no comment quotes the release of %s and says that it was not pulled: %q", file, name, s.Image, comment)
				}
			}
		}
	}
}

// Every service that stays says whether it is well, and what needs another waits until that is.
func TestComposeHealth(t *testing.T) {
	for file, project := range loadAll(t) {
		for name, s := range project.Services {
			stays := s.Restart == "unless-stopped"
			switch {
			case !stays, s.HealthCheck != nil:
			case s.Build != nil:
				if !strings.Contains(read(t, s.Build.Dockerfile), "\nHEALTHCHECK ") {
					t.Errorf("%s: %s: its image has no health check", file, name)
				}
			case name == "collector": // see its ports
			default:
				t.Errorf("%s: %s has no health check", file, name)
			}
			for other, d := range s.DependsOn {
				want := types.ServiceConditionHealthy
				if project.Services[other].Restart == "" {
					want = types.ServiceConditionCompletedSuccessfully
				}
				if d.Condition != want {
					t.Errorf("%s: %s waits for %s to be %q, want %q", file, name, other, d.Condition, want)
				}
			}
		}
	}
}

func TestComposePrivileges(t *testing.T) {
	for file, project := range loadAll(t) {
		for name, s := range project.Services {
			if s.Restart == "" {
				continue
			}
			if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s: %s keeps privileges", file, name)
			}
			if s.Privileged || s.User == "root" || s.User == "0" {
				t.Errorf("%s: %s runs as root", file, name)
			}
			if s.Build != nil && !s.ReadOnly {
				t.Errorf("%s: %s can write to its image", file, name)
			}
		}
	}
}

func TestComposeMountsExist(t *testing.T) {
	for file, project := range loadAll(t) {
		for name, s := range project.Services {
			for _, v := range s.Volumes {
				switch v.Type {
				case types.VolumeTypeBind:
					if strings.HasSuffix(v.Source, "/mocks") {
						if v.Bind.CreateHostPath {
							t.Errorf("%s: %s: data that is not made yet would become an empty directory of root's", file, name)
						}
						continue
					}
					if _, err := os.Stat(v.Source); err != nil {
						t.Errorf("%s: %s: %v", file, name, err)
					}
					if !v.ReadOnly {
						t.Errorf("%s: %s can write to %s", file, name, v.Source)
					}
				case types.VolumeTypeVolume:
					if _, ok := project.Volumes[v.Source]; !ok {
						t.Errorf("%s: %s: no volume %q", file, name, v.Source)
					}
				}
			}
		}
	}
}

// The services' settings are ones that they take, and name backends that are there to be started.
func TestComposeEnvironments(t *testing.T) {
	listens := map[string][]uint32{"throughline": {4317}, "jaeger": {4317}, "tempo": {4317}, "collector": {4317}}
	services := map[string]bool{}
	for _, project := range loadAll(t) {
		for name := range project.Services {
			services[name] = true
		}
	}
	project := load(t, "docker-compose.yaml")
	for _, name := range []string{"articles", "suggestions"} {
		file := "apps/" + name + "/.env.docker"
		env, err := dotenv.Read(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range env {
			if got := project.Services[name].Environment[key]; got == nil || *got != value {
				t.Errorf("%s of %s does not reach the service", key, file)
			}
		}
		choices := regexp.MustCompile(`(?m)^(?:# )?TRACING_BACKEND_URL=(\S+)$`).FindAllStringSubmatch(read(t, file), -1)
		var hosts []string
		for _, choice := range choices {
			if err := tracing.Validate(tracing.Config{BackendURL: choice[1]}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for address := range strings.SplitSeq(choice[1], ",") {
				host, port, err := net.SplitHostPort(address)
				if err != nil || !services[host] || port != "4317" || listens[host] == nil {
					t.Errorf("%s: %s is none of the stacks' backends", file, address)
				}
				hosts = append(hosts, host)
			}
		}
		if want := []string{"throughline", "jaeger", "tempo", "collector"}; !slices.Equal(hosts, want) {
			t.Errorf("%s: backends %v, want %v", file, hosts, want)
		}
	}
}
