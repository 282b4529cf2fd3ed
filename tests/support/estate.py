"""An estate of any size in a World: Access applications and Heroku apps in its cloud, and the documents of that many
tokens beside the shipped ones, all with one overlap. The documents of a token stand in a file of their own."""
import yaml

VARIABLE = "CF_ESTATE_"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
STRATEGIES = ("Replace", "InPlace", "Replace", "Renew")


class Estate:
    """`dice` is a random.Random, so that an estate can be made again. Where `each` is given it says how many sites and
    apps every token has, else that is left to the dice."""

    def __init__(self, world, tokens, dice, overlap="3s", sites=None, apps=None, each=None):
        self.world = world
        self.sites = [f"site-{i}.raxx.app" for i in range(sites or tokens // 3 + 2)]
        self.apps = [f"estate-app-{i}" for i in range(apps or tokens // 3 + 2)]
        for site in self.sites:
            world.control("POST", "/state/apps", {"name": site, "domain": site, "policies": [
                {"name": "people", "decision": "allow", "include": [{"email_domain": {"domain": "raxx.app"}}]}]})
        for app in self.apps:
            world.control("POST", "/state/heroku-apps", {"name": app})
        self.extend(world.specs / "account.yaml", "applications", self.sites)
        self.extend(world.specs / "heroku.yaml", "apps", self.apps)
        self.tokens = {}
        for i in range(tokens):
            self.tokens[f"estate-{i}"] = {
                "key": VARIABLE + str(i), "strategy": STRATEGIES[i % len(STRATEGIES)], "overlap": overlap,
                "sites": dice.sample(self.sites, each[0] if each else dice.randint(1, 2)),
                "apps": dice.sample(self.apps, each[1] if each else dice.randint(0, 2)), "renewBefore": "720h"}
            self.write(f"estate-{i}")

    @staticmethod
    def extend(file, field, more):
        document = yaml.safe_load(file.read_text())
        document["spec"][field] = document["spec"].get(field, []) + more
        file.write_text(yaml.safe_dump(document))

    def file(self, name):
        return self.world.specs / (name + ".yaml")

    def text(self, name):
        """The documents of a token as they should stand."""
        t = self.tokens[name]
        wanted = [
            {"kind": "ServiceToken", "spec": {
                "duration": "8760h", "credential": {"key": t["key"]},
                "rotation": {"strategy": t["strategy"], "renewBefore": t["renewBefore"], "overlap": t["overlap"]},
                "authorization": "I authorize " + t["key"]}},
            {"kind": "AccessBinding", "spec": {
                "tokens": [name], "applications": [{"domain": site} for site in t["sites"]],
                "smokeTest": {"path": "/health", "expectStatus": 200, "attempts": 5, "interval": "100ms"}}}]
        if t["apps"]:
            wanted.append({"kind": "HerokuBinding",
                           "spec": {"token": name, "apps": t["apps"], "configVar": t["key"]}})
        return "---\n".join(yaml.dump({"apiVersion": "postern/v1alpha1", "metadata": {"name": name}} | document,
                                      Dumper=DUMPER) for document in wanted)

    def write(self, name):
        self.file(name).write_text(self.text(name))

    def broken(self):
        """What is not as the documents want it: tokens that are not there once, values that are not the vault's."""
        state = self.world.control("GET", "/state")
        live = {}
        for token in state["cloudflare"]["tokens"]:
            live.setdefault(token["name"], []).append(token)
        held = {row["key"]: row["value"] for folder in state["infisical"]["folders"]
                if not folder["path"].startswith("/MooseQuest/postern") for row in folder["secrets"]}
        vars_ = {app["name"]: app["config"] for app in state["heroku"]["apps"]}
        wrong = []
        for name, t in self.tokens.items():
            ours = [token for token in state["cloudflare"]["tokens"] if token["name"].split(" (")[0] == name]
            if len(ours) != 1 or ours[0]["name"] != name:
                wrong.append(f"{name}: the tokens {sorted(token['name'] for token in ours)}")
                continue
            secret = state["cloudflare"]["secrets"][ours[0]["id"]]["secret"]
            if held.get(t["key"]) != ours[0]["client_id"] + ":" + secret:
                wrong.append(f"{name}: the vault holds another value than the token's")
            wrong += [f"{name}: {app} runs with another value than the vault's" for app in t["apps"]
                      if vars_[app].get(t["key"]) != held.get(t["key"])]
        return wrong
