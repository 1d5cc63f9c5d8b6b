package deploy

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

var dockerfiles = []string{"apps/articles/Dockerfile", "apps/suggestions/Dockerfile", "backend/Dockerfile"}

func stages(t *testing.T, file string) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, file)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("%s: %s", file, w.Short)
	}
	list, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return list
}

// base answers for every base image that it is an empty one.
type base struct{}

func (base) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config, err := json.Marshal(ocispecs.Image{Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"}})
	return ref, digest.FromBytes(config), config, err
}

// sourceMap is where the linter's findings are said to be.
func sourceMap(file string, text []byte) *llb.SourceMap {
	m := llb.NewSourceMap(nil, file, "Dockerfile", text)
	m.Definition = &llb.Definition{}
	return m
}

// The checks of `docker build --check`.
func TestDockerfilesAreClean(t *testing.T) {
	for _, file := range dockerfiles {
		results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(read(t, file)), dockerfile2llb.ConvertOpt{
			MetaResolver:   base{},
			SourceMap:      sourceMap(file, []byte(read(t, file))),
			TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if results.Error != nil {
			t.Errorf("%s: %s", file, results.Error.Message)
		}
		for _, w := range results.Warnings {
			t.Errorf("%s: %s: %s", file, w.RuleName, w.Detail)
		}
	}
}

// The linter is one that finds something.
func TestLinterFinds(t *testing.T) {
	bad := []byte("from scratch AS build\nMAINTAINER me\nCMD echo a\nCMD echo b\n")
	results, err := dockerfile2llb.DockerfileLint(t.Context(), bad, dockerfile2llb.ConvertOpt{
		MetaResolver: base{}, SourceMap: sourceMap("Dockerfile", bad),
	})
	if err != nil || len(results.Warnings) < 3 {
		t.Errorf("%v, %+v", err, results)
	}
}

func TestImagesAreSmallAndUnprivileged(t *testing.T) {
	for _, file := range dockerfiles {
		list := stages(t, file)
		if list[len(list)-1].BaseName == "scratch" && !strings.Contains(read(t, file), "ENV CGO_ENABLED=0 ") {
			t.Errorf("%s: the program needs libraries that its image does not have", file)
		}
		if len(list) < 2 {
			t.Errorf("%s has one stage: the tools of the build are in the image", file)
		}
		for _, stage := range list {
			if stage.BaseName != "scratch" && !regexp.MustCompile(`^[a-z]+:\d+\.\d+\.\d+-[a-z-]+$`).MatchString(stage.BaseName) {
				t.Errorf("%s: base image %q is not pinned", file, stage.BaseName)
			}
		}
		user, health, exec := "", false, false
		for _, c := range list[len(list)-1].Commands {
			switch c := c.(type) {
			case *instructions.UserCommand:
				user = c.User
			case *instructions.HealthCheckCommand:
				health = c.Health.Test[0] == "CMD"
			case *instructions.EntrypointCommand:
				exec = !c.PrependShell
			case *instructions.CmdCommand:
				exec = !c.PrependShell
			case *instructions.RunCommand:
				t.Errorf("%s: its last stage runs %v", file, c.CmdLine)
			}
		}
		if user != "65532:65532" {
			t.Errorf("%s: user %q", file, user)
		}
		if !health {
			t.Errorf("%s: no health check without a shell", file)
		}
		if !exec {
			t.Errorf("%s: the program is not process 1, and SIGTERM does not reach it", file)
		}
		if !strings.Contains(read(t, file), "not pulled here.") {
			t.Errorf("%s does not say that its base image was not pulled", file)
		}
	}
}

// build runs the steps of a stage as they stand, with the tools of this machine and the directory at as the image's
// root, and returns the image's environment.
func build(t *testing.T, stage instructions.Stage, at string) []string {
	t.Helper()
	workdir := "/"
	var env []string
	inside := func(s string) string {
		if workdir == "/" {
			return s
		}
		return strings.ReplaceAll(s, workdir, at+workdir)
	}
	for _, c := range stage.Commands {
		switch c := c.(type) {
		case *instructions.WorkdirCommand:
			workdir = c.Path
			if err := os.MkdirAll(at+workdir, 0o755); err != nil {
				t.Fatal(err)
			}
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				env = append(env, kv.Key+"="+inside(kv.Value))
			}
		case *instructions.CopyCommand:
			for _, source := range c.SourcePaths {
				copyIn(t, source, filepath.Join(at, workdir, c.DestPath), strings.HasSuffix(c.DestPath, "/"))
			}
		case *instructions.RunCommand:
			cmd := exec.Command("sh", "-c", inside(strings.Join(c.CmdLine, " ")))
			cmd.Dir = at + workdir
			cmd.Env = append(append(cleanEnv(), "PATH="+filepath.Dir(python)+":"+os.Getenv("PATH")), env...)
			// What is compiled already need not be again for other settings.
			cmd.Env = append(cmd.Env, "GOFLAGS=", "CGO_ENABLED=")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", cmd, err, out)
			}
		default:
			t.Fatalf("this test does not know %s", c.Name())
		}
	}
	return env
}

// copyIn copies a path of the build context, without what .dockerignore leaves out: a directory's content, as COPY does.
func copyIn(t *testing.T, source, dest string, into bool) {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(root, source)
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() && into {
		dest = filepath.Join(dest, filepath.Base(source))
	}
	err = filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inContext, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if skip, err := ignored.MatchesOrParentMatches(inContext); err != nil || skip {
			if d.IsDir() && err == nil {
				return filepath.SkipDir
			}
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dest, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
	if err != nil {
		t.Fatalf("COPY %s: %v", source, err)
	}
}

// settings are those of .env.docker, at another port of this machine alone.
func settings(t *testing.T, service, data string) (env []string, address string) {
	t.Helper()
	values, err := dotenv.Read(filepath.Join(root, "apps", service, ".env.docker"))
	if err != nil {
		t.Fatal(err)
	}
	address = freeAddress(t)
	values["HOST"], values["PORT"], _ = strings.Cut(address, ":")
	values["DATA_SOURCE_FILENAME"] = filepath.Join(t.TempDir(), "data.json")
	if err := os.WriteFile(values["DATA_SOURCE_FILENAME"], []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	for key, value := range values {
		env = append(env, key+"="+value)
	}
	return env, address
}

// What the images' build stages build runs as the images run it, with the settings of .env.docker.
func TestImageOfArticles(t *testing.T) {
	at := t.TempDir()
	build(t, stages(t, "apps/articles/Dockerfile")[0], at)
	binary := at + "/src/out/articles"
	env, address := settings(t, "articles", `[]`)
	runImage(t, env, "http://"+address+"/readyz", "", binary)
	cmd := exec.Command(binary, "health")
	cmd.Env = append(cleanEnv(), env...)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("a service that is stopped is well: %s", out)
	}
}

func TestImageOfThroughline(t *testing.T) {
	at := t.TempDir()
	build(t, stages(t, "backend/Dockerfile")[0], at)
	binary := at + "/src/out/throughline"
	// The flags of the image and of the compose file are flags of the program.
	help, err := exec.Command(binary, "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	compose := load(t, "docker-compose.yaml").Services["throughline"].Command
	var image []string
	for _, c := range stages(t, "backend/Dockerfile")[1].Commands {
		if c, ok := c.(*instructions.CmdCommand); ok {
			image = c.CmdLine
		}
	}
	if !slices.Equal(image, compose) || len(image) < 3 {
		t.Errorf("the image runs %q, compose %q", image, compose)
	}
	args := []string{binary, image[0]}
	for _, arg := range image[1:] {
		flag, value, _ := strings.Cut(arg, "=")
		if !strings.Contains(string(help), flag+" ") {
			t.Errorf("there is no flag %s", flag)
		}
		if strings.HasPrefix(value, "0.0.0.0:") {
			value = freeAddress(t)
		} else {
			value = filepath.Join(at, value)
		}
		args = append(args, flag+"="+value)
	}
	_, ui, _ := strings.Cut(args[3], "=")
	p := launch(t, at, nil, append(args, "--jaeger-grpc=")...)
	eventually(t, time.Minute, func() string {
		select {
		case <-p.exited:
			t.Fatalf("it ended:\n%s", p.out)
		default:
		}
		if out, err := exec.Command(binary, "health", "--url", "http://"+ui).CombinedOutput(); err != nil {
			return string(out)
		}
		return ""
	})
}

func TestImageOfSuggestions(t *testing.T) {
	at := t.TempDir()
	build(t, stages(t, "apps/suggestions/Dockerfile")[0], at)
	// The interpreter without this checkout's packages, as in the image.
	out, err := exec.Command(python, "-c", "import sys; print(sys._base_executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	env, address := settings(t, "suggestions", `{}`)
	runImage(t, append(env, "PYTHONPATH="+at+"/app/site"), "http://"+address+"/readyz", at+"/app/code", strings.TrimSpace(string(out)), "app.py")
}

// runImage starts a service and stops it as `docker stop` does. Its backends are not there.
func runImage(t *testing.T, env []string, ready, dir string, argv ...string) {
	t.Helper()
	p := launch(t, dir, env, argv...)
	p.awaitOK(t, ready)
	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("status %d:\n%s", code, p.out)
	}
}
