package api

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
)

const (
	loginPath  = "/login"
	logoutPath = "/logout"
	// sessionCookie holds what access.Tokens.Session makes of a token.
	sessionCookie = "throughline_session"
	sessionTime   = 30 * 24 * time.Hour
)

// allowed says whether a request may be answered: it has the token, or the
// cookie that was given for one. Health and the login need none.
func (s *server) allowed(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", loginPath, logoutPath:
		return true
	}
	return s.Tokens == nil || s.Tokens.AllowHeader(r.Header.Get("Authorization")) || s.loggedIn(r)
}

func (s *server) loggedIn(r *http.Request) bool {
	c, err := r.Cookie(sessionCookie)
	return err == nil && s.Tokens.AllowSession(c.Value, s.Now())
}

// deny sends a person to the login, and tells a program what is missing.
func (s *server) deny(w http.ResponseWriter, r *http.Request) {
	page := (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		!strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
	w.Header().Set("Cache-Control", "no-store")
	if page {
		http.Redirect(w, r, loginPath+"?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="throughline"`)
	writeError(w, &reply.Error{
		Code: "unauthenticated", Status: http.StatusUnauthorized,
		Message: "a token is needed to read here: header Authorization, value Bearer and the token of --api-token; a browser logs in at " + loginPath,
	})
}

// login shows the form, and takes it.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.FormValue("next"))
	if s.Tokens == nil || r.Method != http.MethodPost && s.loggedIn(r) && r.FormValue("next") != "" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	if r.Method != http.MethodPost {
		s.loginPage(w, r, http.StatusOK, next, "")
		return
	}
	expires := s.Now().Add(sessionTime)
	session, ok := s.Tokens.Session(strings.TrimSpace(r.PostFormValue("token")), expires)
	if !ok {
		s.loginPage(w, r, http.StatusForbidden, next, "That is not the token of this server.")
		return
	}
	http.SetCookie(w, cookie(r, session, int(sessionTime/time.Second)))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// cookie is sent along when a link elsewhere leads here (Lax), but never with a
// request that another site's page makes; no script can read it.
func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
		// A proxy that ends TLS says so; a client that lies about it harms itself.
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// localPath keeps a redirect on this server.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || u.Path == loginPath {
		return "/"
	}
	return next
}

const loginStyle = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:15vh auto 0;max-width:26rem;padding:0 1rem}
h1{font-size:1.25rem}
label{display:block;margin:1rem 0 .25rem}
input,button{font:inherit;padding:.5rem .75rem;box-sizing:border-box;border:1px solid GrayText;border-radius:6px}
input{width:100%}
button{margin-top:1rem;cursor:pointer}
.wrong{color:light-dark(#b3261e,#ff8a80)}`

var loginPolicy = func() string {
	sum := sha256.Sum256([]byte(loginStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}()

var loginTemplate = template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · Throughline</title>
<style>{{.Style}}</style>
<h1>Throughline</h1>
{{if .LoggedIn}}<p>You are logged in. <a href="/">Show the traces</a></p>
<form method="post" action="/logout"><button>Log out</button></form>
{{else}}<p>This server asks for its token before it shows traces. Whoever runs it has it (<code>--api-token</code>).</p>
{{with .Wrong}}<p class="wrong" role="alert">{{.}}</p>{{end}}
<form method="post" action="/login">
<input type="hidden" name="next" value="{{.Next}}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
{{end}}</html>
`))

func (s *server) loginPage(w http.ResponseWriter, r *http.Request, status int, next, wrong string) {
	h := w.Header()
	h.Set("Content-Security-Policy", loginPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	_ = loginTemplate.Execute(w, map[string]any{
		"Style": template.CSS(loginStyle), "Next": next, "Wrong": wrong, "LoggedIn": s.loggedIn(r),
	})
}
