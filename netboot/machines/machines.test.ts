import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActionResult, Machine } from '../../shared/contract/machine.ts';
import { startTestAppliance } from '../testing.ts';
import { bootLive, getMachine, image, installLive, kindOf, putMachine, scriptOf } from './testing.ts';

const mac = 'aa:bb:cc:dd:ee:ff';
const put = (body: unknown, headers: Record<string, string> = {}) => ({
  method: 'PUT',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers,
});

test('a machine has every key of the contract, and PUT replaces what it omits', async (context) => {
  const appliance = await startTestAppliance(context);
  const full = {
    image_sha256: image,
    provisioning_mode: 'cijoe-task',
    hostname: 'node-1.lab',
    cijoe_task_ref: 'tasks/x.yaml',
    boot_policy: 'flash',
  };
  const made = await putMachine(appliance, 'AA-BB-CC-DD-EE-FF', full);
  assert.deepEqual(Object.keys(made).slice(0, 15), [
    'mac',
    'image_sha256',
    'provisioning_mode',
    'hostname',
    'cijoe_task_ref',
    'discovered_at',
    'last_seen_at',
    'last_seen_ip',
    'boot_policy',
    'last_flashed_at',
    'last_task_run_at',
    'last_task_status',
    'last_task_output_path',
    'created_at',
    'updated_at',
  ]);
  assert.deepEqual({ ...made, ...full, mac }, made);
  const empty = await putMachine(appliance, mac, {});
  assert.deepEqual(
    [empty.image_sha256, empty.provisioning_mode, empty.hostname, empty.cijoe_task_ref, empty.boot_policy],
    [null, 'none', null, null, 'local'],
  );
  assert.equal(empty.created_at, made.created_at);
});

test('PUT over a discovered machine makes it local, and keeps what it was seen by', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  await scriptOf(appliance, mac);
  const seen = await getMachine(appliance, mac);
  const after = await putMachine(appliance, mac, { image_sha256: image });
  assert.equal(after.boot_policy, 'local');
  assert.deepEqual([after.discovered_at, after.last_seen_ip], [seen.discovered_at, '127.0.0.1']);
  assert.equal(kindOf(await scriptOf(appliance, mac)), 'disk');
  await putMachine(appliance, mac, {});
  assert.equal(kindOf(await scriptOf(appliance, mac)), 'nothing');
  await putMachine(appliance, mac, { boot_policy: 'tui', image_sha256: image });
  assert.equal(kindOf(await scriptOf(appliance, mac)), 'live');
});

test('what is refused is refused in the order and the words of the contract', async (context) => {
  const { ask, askAdmin } = await startTestAppliance(context);
  const detail = async (answer: Response) => ((await answer.json()) as { detail: unknown }).detail;
  // Malformed JSON comes before the login, the login before the fields, the fields before the address.
  const malformed = await ask('/machines/nonsense', put('{'));
  assert.equal(malformed.status, 422);
  assert.equal(((await detail(malformed)) as { type: string }[])[0]?.type, 'json_invalid');
  const anonymous = await ask('/machines/nonsense', put({ image_sha256: 'x' }));
  assert.deepEqual([anonymous.status, await detail(anonymous)], [401, 'login required']);
  const fields = await askAdmin('/machines/nonsense', put({ image_sha256: 'X', boot_policy: 'x', extra: 1 }));
  assert.equal(fields.status, 422);
  assert.deepEqual(
    ((await detail(fields)) as { type: string; loc: string[] }[]).map(({ type, loc }) => [
      type,
      loc.join('.'),
    ]),
    [
      ['string_pattern_mismatch', 'body.image_sha256'],
      ['literal_error', 'body.boot_policy'],
      ['extra_forbidden', 'body.extra'],
    ],
  );
  const address = await askAdmin('/machines/nonsense', put({}));
  assert.deepEqual([address.status, await detail(address)], [400, "invalid MAC: 'nonsense'"]);
  const wrong = await ask(`/machines/${mac}`, { headers: { cookie: 'bty-token=nonsense' } });
  assert.equal(wrong.status, 401);
  const none = await askAdmin(`/machines/${mac}`);
  assert.deepEqual([none.status, await detail(none)], [404, `no machine record for ${mac}`]);
  for (const bad of [
    { hostname: '-x' },
    { hostname: 'a'.repeat(254) },
    { hostname: '' },
    { cijoe_task_ref: 'a\nb' },
    { cijoe_task_ref: '' },
    { image_sha256: 'A'.repeat(64) },
    { provisioning_mode: 'x' },
    { notes: 5 },
    { labels: { 'bad label': 'x' } },
    { target_disk: { kind: 'serial' } },
    [],
    'text',
    null,
  ])
    assert.equal(
      (await askAdmin(`/machines/${mac}`, put(JSON.stringify(bad)))).status,
      422,
      JSON.stringify(bad),
    );
  const method = await ask(`/machines/${mac}`, { method: 'POST' });
  assert.equal(method.status, 405);
  assert.equal(method.headers.get('allow'), 'GET, HEAD, PUT, PATCH, DELETE');
});

test('DELETE forgets, and the second one finds nothing', async (context) => {
  const appliance = await startTestAppliance(context);
  await putMachine(appliance, mac, {});
  assert.equal((await appliance.askAdmin(`/machines/${mac}`, { method: 'DELETE' })).status, 204);
  assert.equal((await appliance.askAdmin(`/machines/${mac}`, { method: 'DELETE' })).status, 404);
});

test('PATCH changes what it names; labels, notes and the disk survive a PUT that does not know them', async (context) => {
  const appliance = await startTestAppliance(context);
  const { askAdmin } = appliance;
  const patch = (body: unknown, headers = {}) =>
    askAdmin(`/machines/${mac}`, { method: 'PATCH', body: JSON.stringify(body), headers });
  assert.equal((await patch({ notes: 'x' })).status, 404);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const changed = (await (
    await patch({ labels: { rack: '7' }, notes: 'left', target_disk_serial: 'S9' })
  ).json()) as Machine;
  assert.deepEqual(
    [changed.labels, changed.notes, changed.target_disk, changed.image_sha256, changed.boot_policy],
    [{ rack: '7' }, 'left', { kind: 'serial', serial: 'S9' }, image, 'flash'],
  );
  const after = await putMachine(appliance, mac, { boot_policy: 'local' });
  assert.deepEqual([after.labels, after.target_disk_serial, after.image_sha256], [{ rack: '7' }, 'S9', null]);
  const rule = { kind: 'match', model: 'Samsung', min_bytes: 1000 };
  assert.deepEqual(((await (await patch({ target_disk: rule })).json()) as Machine).target_disk, rule);
});

test('If-Match keeps two operators from overwriting one another; progress does not disturb it', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const { etag } = await putMachine(appliance, mac, { image_sha256: image });
  await scriptOf(appliance, mac);
  const change = (tag: string) =>
    appliance.askAdmin(`/machines/${mac}`, put({ boot_policy: 'flash' }, { 'if-match': tag }));
  const first = await change(etag);
  assert.equal(first.status, 200);
  assert.notEqual(first.headers.get('etag'), etag);
  assert.equal((await change(etag)).status, 412);
  assert.equal(
    (await appliance.askAdmin('/machines/02:00:00:00:00:01', put({}, { 'if-match': '*' }))).status,
    412,
  );
  const make = (where: string, tag: string) =>
    appliance.askAdmin(`/machines/${where}`, put({}, { 'if-none-match': tag }));
  const before = await getMachine(appliance, mac);
  assert.equal((await make(mac, '*')).status, 412);
  assert.equal((await make(mac, `"x", W/${before.etag}`)).status, 412);
  assert.deepEqual(await getMachine(appliance, mac), before);
  assert.equal((await make('02:00:00:00:00:01', '*')).status, 200);
  assert.equal((await make('02:00:00:00:00:01', '"r9"')).status, 200);
});

test('texts of every kind are answered as they are read again', async (context) => {
  const appliance = await startTestAppliance(context);
  const odd = ['\ud800', 'a\u0000b', '\u202e\u2028<!--&amp;', '😀'.repeat(60), '"\'\\%_'];
  for (const [index, text] of odd.entries()) {
    const where = `02:00:00:00:00:0${index}`;
    // As a sender spells it who escapes everything.
    const spelled = text.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
    const label = text.replaceAll('\u0000', '');
    const body = `{"notes": "${spelled.join('')}", "labels": {"a/b": ${JSON.stringify(label)}}}`;
    const answer = await appliance.askAdmin(`/machines/${where}`, { method: 'PUT', body });
    assert.equal(answer.status, 200, text);
    const told = (await answer.json()) as Machine;
    assert.equal(told.notes, text.toWellFormed());
    assert.deepEqual(await getMachine(appliance, where), told);
    const [listed] = (await (await appliance.askAdmin('/machines')).json()) as Machine[];
    assert.equal(listed?.mac, '02:00:00:00:00:00');
  }
  const all = (await (await appliance.askAdmin('/machines?limit=9')).json()) as Machine[];
  assert.deepEqual(await (await appliance.askAdmin('/machines')).json(), all);
  for (const machine of all) assert.deepEqual(await getMachine(appliance, machine.mac), machine);
  assert.equal(appliance.services.events.verify().kind, 'intact');
});

test('a page of machines tells the next one, filters apply, and all of them come in the order of MACs', async (context) => {
  const appliance = await startTestAppliance(context);
  for (let index = 9; index >= 0; index--)
    await putMachine(appliance, `02:00:00:00:00:0${index}`, {
      hostname: `host-${index}`,
      labels: { rack: index < 5 ? 'a' : 'b' },
      ...(index === 3 ? { image_sha256: image, boot_policy: 'flash' } : {}),
    });
  const list = async (query: string) => {
    const answer = await appliance.askAdmin(`/machines${query}`);
    assert.equal(answer.status, 200);
    return { answer, macs: ((await answer.json()) as Machine[]).map((machine) => machine.mac.slice(-1)) };
  };
  assert.equal((await list('')).macs.join(''), '0123456789');
  let next = '?limit=4';
  let seen = '';
  for (let page = 0; page < 3; page++) {
    const { answer, macs } = await list(next);
    assert.equal(answer.headers.get('x-total-count'), '10');
    seen += macs.join('');
    const link = /^<[^>]*\/machines(\?[^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
    assert.equal(link === undefined, page === 2);
    next = link ?? '';
  }
  assert.equal(seen, '0123456789');
  assert.equal((await list('?q=HOST-7')).macs.join(''), '7');
  assert.equal((await list('?q=%25')).macs.join(''), '');
  assert.equal((await list('?label=rack%3Da')).macs.join(''), '01234');
  assert.equal((await list('?phase=armed')).macs.join(''), '3');
  assert.equal((await list('?boot_policy=flash')).macs.join(''), '3');
  assert.equal((await appliance.askAdmin('/machines?limit=0')).status, 422);
  assert.equal((await appliance.askAdmin('/machines?limit=x')).status, 422);
});

test('an action on many machines is all or nothing, and stays below its limit', async (context) => {
  const appliance = await startTestAppliance(context, { config: { bulkLimit: 3 } });
  for (let index = 0; index < 5; index++)
    await putMachine(appliance, `02:00:00:00:00:0${index}`, {
      labels: { rack: 'a', row: String(index % 2) },
      ...(index === 0 ? {} : { image_sha256: image }),
    });
  const act = async (body: unknown) => {
    const answer = await appliance.askAdmin('/machines/actions', {
      method: 'POST',
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as ActionResult };
  };
  assert.equal((await act({ action: 'disarm', labels: { rack: 'a' } })).status, 409);
  const dry = await act({ action: 'arm', labels: { rack: 'a' }, limit: 10, dry_run: true });
  assert.deepEqual([dry.body.matched, dry.body.changed.length, dry.body.skipped.length], [5, 4, 1]);
  assert.equal(appliance.services.machines.store.count({ boot_policy: 'flash-once' }), 0);
  const armed = await act({ action: 'arm', labels: { rack: 'a', row: '1' } });
  assert.deepEqual(armed.body.changed, ['02:00:00:00:00:01', '02:00:00:00:00:03']);
  assert.equal((await getMachine(appliance, '02:00:00:00:00:01')).state.phase, 'armed');
  const gone = await act({ action: 'delete', macs: ['02-00-00-00-00-04', '02:00:00:00:00:99'] });
  assert.deepEqual(gone.body.skipped, [{ mac: '02:00:00:00:00:99', reason: 'no such machine' }]);
  assert.equal(appliance.services.machines.store.count({}), 4);
  for (const bad of [
    { action: 'delete' },
    { action: 'delete', labels: {} },
    { action: 'set-policy', macs: [mac] },
  ])
    assert.equal((await act(bad)).status, 422);
  assert.equal((await act({ action: 'delete', macs: ['nonsense'] })).status, 400);
});

test('every change is in the log with before and after, whatever its door', async (context) => {
  const appliance = await startTestAppliance(context);
  const cookie = await appliance.logIn();
  const form = (fields: Record<string, string>) => ({
    method: 'POST',
    body: new URLSearchParams(fields),
    headers: { cookie },
  });
  const path = `/ui/machines/${mac}`;
  assert.equal((await appliance.ask(path, { method: 'POST' })).headers.get('location'), '/ui/login');
  const saved = await appliance.ask(path, form({ boot_policy: 'tui', hostname: 'one', image_sha256: '' }));
  assert.deepEqual([saved.status, saved.headers.get('location')], [303, '/ui/machines']);
  const bad = await appliance.ask(path, form({ hostname: '-' }));
  assert.match(bad.headers.get('location') ?? '', /^\/ui\/machines\/aa%3Abb.*\?error=/);
  await putMachine(appliance, mac, { hostname: 'two' });
  assert.equal((await appliance.ask(`${path}/delete`, form({}))).headers.get('location'), '/ui/machines');
  const answer = await appliance.askAdmin(`/events?subject_id=${mac}&limit=2`);
  const { events } = (await answer.json()) as {
    events: {
      id: number;
      kind: string;
      actor: string;
      source_ip: string;
      details: Record<string, unknown>;
    }[];
  };
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['machine.deleted', 'machine.upserted'],
  );
  assert.deepEqual([events[0]?.actor, events[0]?.source_ip], ['operator', '127.0.0.1']);
  assert.equal(events[1]?.details.hostname, 'two');
  assert.deepEqual((events[1]?.details.before as { hostname: string } | undefined)?.hostname, 'one');
  const older = await appliance.askAdmin(`/events?subject_id=${mac}&before_id=${events[1]?.id}`);
  assert.deepEqual(
    ((await older.json()) as { events: { kind: string }[] }).events.map(({ kind }) => kind),
    ['machine.created'],
  );
});

test('rights: reading needs read, changing needs operate', async (context) => {
  const { ask, makeToken } = await startTestAppliance(context);
  const bearer = async (scope: 'read' | 'operate') => ({ authorization: `Bearer ${await makeToken(scope)}` });
  const read = await bearer('read');
  assert.equal((await ask('/machines', { headers: read })).status, 200);
  assert.equal((await ask(`/machines/${mac}`, put({}, read))).status, 403);
  assert.equal((await ask(`/machines/${mac}`, put({}, await bearer('operate')))).status, 200);
});

test('a live system shows its token before anybody looks at the fields that it sends', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const machine = '02:00:00:00:00:01';
  const live = await bootLive(appliance, machine);
  const post = (path: string, body: string, token: string) =>
    appliance.ask(`/pxe/${machine}/${path}`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${token}` },
    });
  for (const path of ['inventory', 'progress', 'status']) {
    assert.equal((await post(path, '{"x":1}', 'wrong')).status, 401, path);
    assert.equal((await appliance.ask(`/pxe/${machine}/${path}`, { method: 'POST' })).status, 401, path);
    assert.equal((await post(path, '{', 'wrong')).status, 422, path);
    assert.equal((await post(path, '{"x":1}', live.token)).status, 422, path);
  }
});
