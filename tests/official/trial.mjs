// The vendors' own clients against the miniature cloud: each trial is what a user of that client does every day, and
// passes only if the client, unchanged, is content with what it gets.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { InfisicalSDK } from '@infisical/sdk';
import Cloudflare from 'cloudflare';

const here = dirname(fileURLToPath(import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'postern-official-'));
const cloud = spawn(process.argv[2], ['--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
const [line] = await once(createInterface({ input: cloud.stdout }), 'line');
const at = JSON.parse(line);

const trials = [];
const trial = (name, body) => trials.push([name, body]);

async function control(method, path, body) {
  const answer = await fetch(at.control + path, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

// A visit to a guarded host, as a machine makes it. fetch() would set Host by itself, so curl does it.
async function visit(host, token) {
  const headers = token
    ? ['-H', `CF-Access-Client-Id: ${token.client_id}`, '-H', `CF-Access-Client-Secret: ${token.client_secret}`]
    : [];
  const { stdout } = await promisify(execFile)('curl', [
    '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', `Host: ${host}`, ...headers, `${at.edge}/health`,
  ]);
  return Number(stdout);
}

// ---- cloudflare ----
const account_id = at.accountId;
const cf = new Cloudflare({ apiToken: at.apiToken, baseURL: at.cloudflare });
const { serviceTokens, applications, policies, groups } = cf.zeroTrust.access;

async function all(pages) {
  const out = [];
  for await (const item of pages) out.push(item);
  return out;
}

async function refused(promise, status, text) {
  await assert.rejects(promise, (e) => {
    assert.equal(e.status, status);
    assert.ok(JSON.stringify(e.errors ?? e.message).includes(text), JSON.stringify(e.errors ?? e.message));
    return true;
  });
}

trial('cloudflare: the API token verifies', async () => {
  assert.equal((await cf.user.tokens.verify()).status, 'active');
});

trial('cloudflare: a service token is minted, admitted, rotated with an overlap, renewed and deleted', async () => {
  const token = await serviceTokens.create({ account_id, name: 'sdk trial', duration: '8760h' });
  assert.match(token.client_secret, /^cfast_[A-Za-z0-9]{48}$/);
  assert.equal((await serviceTokens.get(token.id, { account_id })).client_secret, undefined);

  assert.equal(await visit(at.appHost), 302);
  assert.equal(await visit(at.appHost, token), 302);
  const policy = await applications.policies.create(at.appId, {
    account_id,
    name: 'sdk trial (service token)',
    decision: 'non_identity',
    include: [{ service_token: { token_id: token.id } }],
  });
  assert.equal(await visit(at.appHost, token), 200);

  const overlap = new Date(Date.now() + 3600_000).toISOString();
  const rotated = await serviceTokens.rotate(token.id, { account_id, previous_client_secret_expires_at: overlap });
  assert.equal(rotated.client_id, token.client_id);
  assert.notEqual(rotated.client_secret, token.client_secret);
  assert.equal(await visit(at.appHost, token), 200);
  assert.equal(await visit(at.appHost, rotated), 200);
  await serviceTokens.rotate(token.id, { account_id });
  assert.equal(await visit(at.appHost, rotated), 302);

  assert.ok((await serviceTokens.refresh(token.id, { account_id })).expires_at);
  const renewed = await serviceTokens.update(token.id, { account_id, name: 'renamed', duration: 'forever' });
  assert.equal(renewed.name, 'renamed');

  await refused(serviceTokens.delete(token.id, { account_id }), 400, '12139');
  await applications.policies.delete(policy.id, { account_id, app_id: at.appId });
  await serviceTokens.delete(token.id, { account_id });
  await refused(serviceTokens.get(token.id, { account_id }), 404, 'service_token_not_found');
});

trial('cloudflare: lists are read page by page', async () => {
  const made = [];
  for (let i = 0; i < 5; ++i) made.push(await serviceTokens.create({ account_id, name: `page ${i}` }));
  const found = await all(serviceTokens.list({ account_id, per_page: 2 }));
  for (const token of made) assert.ok(found.some((t) => t.id === token.id));
  assert.equal(new Set(found.map((t) => t.id)).size, found.length);
  const apps = await all(applications.list({ account_id, per_page: 1 }));
  assert.ok(apps.length >= 3);
  assert.ok(apps.every((app) => Array.isArray(app.policies)));
  for (const token of made) await serviceTokens.delete(token.id, { account_id });
});

trial('cloudflare: a reusable policy is linked, edited in its own place only, and not deleted while attached', async () => {
  const token = await serviceTokens.create({ account_id, name: 'reusable trial' });
  const include = [{ service_token: { token_id: token.id } }];
  const policy = await policies.create({ account_id, name: 'shared', decision: 'non_identity', include });
  assert.equal(policy.reusable, true);
  const app = await applications.get(at.appId, { account_id });
  const links = app.policies.map(({ id, precedence }) => ({ id, precedence }));
  await applications.update(at.appId, {
    account_id, ...app, policies: [...links, { id: policy.id, precedence: links.at(-1).precedence + 1 }],
  });
  assert.equal(await visit(at.appHost, token), 200);
  await refused(
    applications.policies.update(policy.id, { account_id, app_id: at.appId, name: 'x', decision: 'non_identity', include }),
    400, 'can not update reusable policies through this endpoint');
  await policies.update(policy.id, { account_id, name: 'shared', decision: 'deny', include });
  assert.equal(await visit(at.appHost, token), 302);
  await refused(policies.delete(policy.id, { account_id }), 409, 'conflict');
  await applications.update(at.appId, { account_id, ...app, policies: links });
  await policies.delete(policy.id, { account_id });
  await serviceTokens.delete(token.id, { account_id });
});

trial('cloudflare: groups', async () => {
  const token = await serviceTokens.create({ account_id, name: 'group trial' });
  const group = await groups.create({ account_id, name: 'machines', include: [{ service_token: { token_id: token.id } }] });
  assert.ok((await all(groups.list({ account_id }))).some((g) => g.id === group.id));
  await refused(serviceTokens.delete(token.id, { account_id }), 400, '12139');
  await groups.delete(group.id, { account_id });
  await serviceTokens.delete(token.id, { account_id });
});

trial('cloudflare: the SDK waits out a 429 and a 503', async () => {
  await control('POST', '/faults', [
    { service: 'cloudflare', path: 'service_tokens', action: 'answer', status: 429, headers: { 'Retry-After': '0' },
      body: { success: false, errors: [{ code: 971, message: 'slow down' }], result: null } },
    { service: 'cloudflare', path: 'service_tokens', action: 'answer', status: 503, body: '<html>busy</html>' },
  ]);
  await all(serviceTokens.list({ account_id }));
  assert.deepEqual((await control('GET', '/faults')).map((f) => f.fired), [1, 1]);
  await control('DELETE', '/faults');
});

trial('cloudflare: the SDK repeats a create whose reply was lost, and leaves an orphan', async () => {
  await control('POST', '/faults', {
    service: 'cloudflare', method: 'POST', path: 'service_tokens$', action: 'drop', after: true,
  });
  await serviceTokens.create({ account_id, name: 'lost reply' });
  const found = (await all(serviceTokens.list({ account_id }))).filter((t) => t.name === 'lost reply');
  assert.equal(found.length, 2);
  for (const token of found) await serviceTokens.delete(token.id, { account_id });
  await control('DELETE', '/faults');
});

// ---- infisical ----
const vault = new InfisicalSDK({ siteUrl: at.infisical });
const place = { environment: at.environment, projectId: at.projectId, secretPath: '/MooseQuest/cloudflare' };

trial('infisical: login, then a secret is created, read, listed, updated and deleted', async () => {
  await vault.auth().universalAuth.login({ clientId: at.infisicalClientId, clientSecret: at.infisicalClientSecret });
  const { secret: made } = await vault.secrets().createSecret('SDK_TRIAL', { ...place, secretValue: ' id.access:one ' });
  assert.equal(made.version, 1);
  const read = await vault.secrets().getSecret({ ...place, secretName: 'SDK_TRIAL' });
  assert.equal(read.secretValue, 'id.access:one');
  await vault.secrets().updateSecret('SDK_TRIAL', { ...place, secretValue: 'id.access:two' });
  const { secrets } = await vault.secrets().listSecrets(place);
  const listed = secrets.find((s) => s.secretKey === 'SDK_TRIAL');
  assert.equal(listed.secretValue, 'id.access:two');
  assert.equal(listed.version, 2);
  await assert.rejects(vault.secrets().createSecret('SDK_TRIAL', { ...place, secretValue: 'x' }), /already exist/);
  await vault.secrets().deleteSecret('SDK_TRIAL', place);
  await assert.rejects(vault.secrets().getSecret({ ...place, secretName: 'SDK_TRIAL' }), /not found/);
});

trial('infisical: folders', async () => {
  await vault.folders().create({ name: 'trial', path: '/MooseQuest', environment: at.environment, projectId: at.projectId });
  const found = await vault.folders().listFolders({ environment: at.environment, projectId: at.projectId, path: '/MooseQuest' });
  assert.ok(found.some((f) => f.name === 'trial') && found.some((f) => f.name === 'cloudflare'));
});

trial('infisical: a wrong client secret is refused', async () => {
  const other = new InfisicalSDK({ siteUrl: at.infisical });
  await assert.rejects(
    other.auth().universalAuth.login({ clientId: at.infisicalClientId, clientSecret: 'wrong' }), /Invalid credentials/);
});

// ---- heroku ----
async function heroku(...args) {
  const env = {
    PATH: process.env.PATH, HOME: home, HEROKU_HOST: at.heroku, HEROKU_API_KEY: at.herokuApiKey,
    HEROKU_PARTICLEBOARD_URL: at.heroku, DISABLE_TELEMETRY: 'true', HEROKU_SKIP_NEW_VERSION_CHECK: 'true',
    HEROKU_SKIP_ANALYTICS: '1', NO_COLOR: '1',
  };
  const run = promisify(execFile)(join(here, 'node_modules/.bin/heroku'), args, { env, cwd: home });
  return run.then(({ stdout, stderr }) => ({ rc: 0, stdout, stderr }),
                  (e) => ({ rc: e.code, stdout: e.stdout, stderr: e.stderr }));
}

trial('heroku: who am I, and which apps are there', async () => {
  const who = await heroku('auth:whoami');
  assert.match(who.stdout, /postern@raxx\.app/);
  await control('POST', '/state/switches', { heroku: { page: 1 } });
  const apps = JSON.parse((await heroku('apps', '--all', '--json')).stdout);
  await control('POST', '/state/switches', { heroku: { page: 200 } });
  assert.deepEqual(apps.map((a) => a.name).sort(), ['raxx-console-prod', 'raxx-console-staging']);
});

trial('heroku: config vars are set, read and unset, each with a release', async () => {
  const app = ['--app', at.herokuApp];
  assert.equal((await heroku('config:set', 'SDK_TRIAL=one', 'EMPTY=', ...app)).rc, 0);
  const config = JSON.parse((await heroku('config', '--json', ...app)).stdout);
  assert.equal(config.SDK_TRIAL, 'one');
  assert.equal(config.EMPTY, '');
  assert.equal((await heroku('config:get', 'SDK_TRIAL', ...app)).stdout.trim(), 'one');
  assert.equal((await heroku('config:unset', 'SDK_TRIAL', ...app)).rc, 0);
  const releases = JSON.parse((await heroku('releases', '--json', ...app)).stdout);
  assert.match(releases[0].description, /Remove SDK_TRIAL/);
  assert.ok(releases[0].version > releases[1].version);
  const bad = await heroku('config:set', 'A-B=1', ...app);
  assert.equal(bad.rc, 2);
  assert.match(bad.stderr, /Error ID: invalid_params/);
});

trial('heroku: a rollback brings back old config vars', async () => {
  const app = ['--app', at.herokuApp];
  await heroku('config:set', 'TURN=first', ...app);
  const before = JSON.parse((await heroku('releases', '--json', ...app)).stdout)[0].version;
  await heroku('config:set', 'TURN=second', ...app);
  assert.equal((await heroku('rollback', `v${before}`, ...app)).rc, 0);
  assert.equal((await heroku('config:get', 'TURN', ...app)).stdout.trim(), 'first');
});

trial('heroku: under a release phase the old values are shown, with a warning', async () => {
  const app = ['--app', 'raxx-console-staging'];
  await control('POST', '/state/heroku-apps', { name: 'raxx-console-staging', releasePhase: { seconds: 3600 } });
  const set = await heroku('config:set', 'LATER=yes', ...app);
  assert.equal(set.rc, 0);
  assert.match(set.stderr, /Release command executing/);
  assert.equal((await heroku('config:get', 'LATER', ...app)).stdout.trim(), '');
  await control('POST', '/time/advance', { seconds: 3600 });
  assert.equal((await heroku('config:get', 'LATER', ...app)).stdout.trim(), 'yes');
  await control('POST', '/state/heroku-apps', { name: 'raxx-console-staging', releasePhase: null });
});

trial('heroku: 404, 403 and 429 are what the CLI knows them to be', async () => {
  const missing = await heroku('config', '--app', 'no-such-app');
  assert.match(missing.stderr, /Couldn't find that app/);
  await control('POST', '/state/heroku-apps', { name: 'raxx-console-staging', locked: true });
  assert.match((await heroku('config', '--app', 'raxx-console-staging')).stderr, /You do not have access/);
  await control('POST', '/state/heroku-apps', { name: 'raxx-console-staging', locked: false });
  await control('POST', '/faults', {
    service: 'heroku', action: 'answer', status: 429, headers: { 'RateLimit-Remaining': '0' },
    body: { id: 'rate_limit', message: 'Your account reached the API rate limit' },
  });
  const limited = await heroku('config', '--app', at.herokuApp);
  assert.equal(limited.rc, 2);
  assert.match(limited.stderr, /rate limit/);
  await control('DELETE', '/faults');
});

let passed = 0;
let failed = 0;
try {
  for (const [name, body] of trials) {
    try {
      await body();
      ++passed;
      console.log(`ok      ${name}`);
    } catch (e) {
      ++failed;
      console.log(`FAILED  ${name}\n        ${String(e.stack ?? e).replaceAll('\n', '\n        ')}`);
    }
  }
} finally {
  const ended = once(cloud, 'exit');
  cloud.kill();
  const [code] = await ended;
  if (code !== 0) {
    ++failed;
    console.log(`FAILED  the miniature cloud ended with ${code}`);
  }
  rmSync(home, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
