"""Who else could do the work, so that calls and time can be compared: the hand procedure of the README (one call after
another), and a client that keeps one object per call as the Terraform providers do (ten calls at a time, Terraform's
default). They make real calls to the same cloud. Both do less than Postern: no credential is kept before it is used,
nothing is read back, nothing survives being stopped in the middle, and the second one proves nothing."""
import concurrent.futures
import http.client
import json
import ssl
import threading
import urllib.parse

from world import CREDENTIALS

PARALLEL = 10


class Caller:
    """Connections that are kept, one per thread and origin, and a count of the calls."""

    def __init__(self, world):
        self.at = world.at
        self.trust = ssl.create_default_context(cafile=world.at["caFile"])
        self.trust.check_hostname = False  # the edge answers for every host on one address
        self.kept = threading.local()
        self.calls = 0
        self.counting = threading.Lock()
        login = self.call("infisical", "POST", "/api/v1/auth/universal-auth/login",
                          {"clientId": self.at["infisicalClientId"], "clientSecret": self.at["infisicalClientSecret"]})
        self.vault_token = login["accessToken"]
        self.access = "/accounts/" + self.at["accountId"] + "/access"

    def call(self, service, method, path, body=None, headers=None):
        where = urllib.parse.urlsplit(self.at[service])
        links = self.kept.__dict__.setdefault("links", {})
        if service not in links:
            links[service] = http.client.HTTPSConnection(where.hostname, where.port, context=self.trust, timeout=60)
        sent = {"Content-Type": "application/json", "User-Agent": "bench"} | (headers or {})
        links[service].request(method, where.path + path, None if body is None else json.dumps(body), sent)
        answer = links[service].getresponse()
        text = answer.read()
        with self.counting:
            self.calls += 1
        wanted = (200, 201) if service != "edge" else (200,)
        if answer.status not in wanted:
            raise AssertionError(f"{service} {method} {path.split('?')[0]}: {answer.status}")
        return json.loads(text) if service != "edge" else None

    def cloudflare(self, method, path, body=None):
        return self.call("cloudflare", method, self.access + path, body,
                         {"Authorization": "Bearer " + self.at["apiToken"]})["result"]

    def vault(self, method, key, value=None):
        where = {"environment": self.at["environment"], "secretPath": CREDENTIALS, "projectId": self.at["projectId"]}
        path = "/api/v4/secrets/" + key
        if method == "GET":
            path += "?" + urllib.parse.urlencode(where)
        return self.call("infisical", method, path,
                         None if value is None else where | {"type": "shared", "secretValue": value},
                         {"Authorization": "Bearer " + self.vault_token})

    def heroku(self, method, app, body=None):
        return self.call("heroku", method, f"/apps/{app}/config-vars", body,
                         {"Authorization": "Bearer " + self.at["herokuApiKey"],
                          "Accept": "application/vnd.heroku+json; version=3"})

    def applications(self):
        """By host; a list, page by page."""
        found, page = {}, 1
        while True:
            more = self.cloudflare("GET", f"/apps?per_page=100&page={page}")
            if not more:
                return found
            found |= {app["domain"]: app["id"] for app in more}
            page += 1

    def provision(self, name, wanted, ids, smoke):
        """Mint, admit, store, set, and where `smoke` is set, knock once at each host. What was made, to be read again."""
        made = self.cloudflare("POST", "/service_tokens", {"name": name, "duration": "8760h"})
        policies = []
        for site in wanted["sites"]:
            policy = self.cloudflare("POST", f"/apps/{ids[site]}/policies", {
                "name": name + " (service token)", "decision": "non_identity",
                "include": [{"service_token": {"token_id": made["id"]}}]})
            policies.append((ids[site], policy["id"]))
        value = made["client_id"] + ":" + made["client_secret"]
        self.vault("POST", wanted["key"], value)
        for app in wanted["apps"]:
            self.heroku("PATCH", app, {wanted["key"]: value})
        for site in wanted["sites"] if smoke else ():
            self.call("edge", "GET", "/health", None, {
                "Host": site, "CF-Access-Client-Id": made["client_id"], "CF-Access-Client-Secret": made["client_secret"]})
        return {"token": made["id"], "policies": policies, "key": wanted["key"], "apps": wanted["apps"]}

    def read(self, made):
        """One call per object."""
        self.cloudflare("GET", "/service_tokens/" + made["token"])
        for app, policy in made["policies"]:
            self.cloudflare("GET", f"/apps/{app}/policies/{policy}")
        self.vault("GET", made["key"])
        for app in made["apps"]:
            self.heroku("GET", app)


def by_hand(world, tokens):
    caller = Caller(world)
    ids = caller.applications()
    for name, wanted in tokens.items():
        caller.provision(name, wanted, ids, smoke=True)
    return caller.calls


class OneByOne:
    """As the Terraform providers: create(), and for ever after a refresh() that reads each object by itself."""

    def __init__(self, world):
        self.caller = Caller(world)
        self.made = []

    def create(self, tokens):
        before = self.caller.calls
        ids = self.caller.applications()
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as hands:
            self.made = list(hands.map(lambda of: self.caller.provision(*of, ids, smoke=False), tokens.items()))
        return self.caller.calls - before

    def refresh(self):
        before = self.caller.calls
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as hands:
            list(hands.map(self.caller.read, self.made))
        return self.caller.calls - before
