import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf, formatAddress, parseAddress, parseBlock, parseHardware } from './address.ts';
import { placeOf } from './subnet.ts';
import { ip } from './testing.ts';

const own = [{ address: ip('10.77.0.1'), block: blockOf(ip('10.77.0.1'), 24) }];
const full = { interface: 'lab0', mode: 'full' } as const;

test('addresses, networks and hardware addresses are read in one form only', () => {
  assert.equal(parseAddress('10.77.0.1'), 0x0a4d0001);
  for (const wrong of ['10.77.0', '10.77.0.256', '010.0.0.1', '1.2.3.4.5', '', ' 1.2.3.4', '1.2.3.-4']) {
    assert.equal(parseAddress(wrong), null, wrong);
  }
  assert.deepEqual(parseBlock('10.77.0.9/24'), { network: ip('10.77.0.0'), prefix: 24 });
  for (const wrong of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/8/8', '/8'])
    assert.equal(parseBlock(wrong), null);
  assert.deepEqual(parseHardware('52-54-00-77-00-01'), Uint8Array.of(0x52, 0x54, 0, 0x77, 0, 1));
  for (const wrong of ['52:54-00:77:00:01', '5254', '52:54:00:77:00:0g'])
    assert.equal(parseHardware(wrong), null);
});

test("without subnets the interface's own network is served, its lowest addresses left out", () => {
  const checked = placeOf(full, own);
  assert.ok(checked.kind === 'valid');
  const [subnet] = checked.value.subnets;
  assert.equal(subnet?.block.network, ip('10.77.0.0'));
  assert.deepEqual(
    subnet?.pools.map((pool) => pool.map(formatAddress)),
    [['10.77.0.64', '10.77.0.254']],
  );
  assert.deepEqual(subnet?.routers, []);
});

test('settings that do not fit are refused with what is wrong', () => {
  const problem = (subnets: Parameters<typeof placeOf>[0]['subnets']) => {
    const checked = placeOf({ ...full, subnets: subnets ?? [] }, own);
    return checked.kind === 'invalid' ? checked.problem : 'none';
  };
  const network = '10.77.0.0/24';
  assert.match(problem([{ network, pools: [{ first: '10.77.0.9', last: '10.77.0.8' }] }]), /ends before/);
  assert.match(problem([{ network, pools: [{ first: '10.77.0.0', last: '10.77.0.8' }] }]), /not inside/);
  assert.match(problem([{ network, pools: [{ first: '10.78.0.1', last: '10.78.0.8' }] }]), /not inside/);
  assert.match(problem([{ network, router: '10.77.0.999' }]), /no IPv4 address/);
  assert.match(problem([{ network: '10.0.0.0/31' }]), /no network/);
  assert.match(problem([{ network }, { network: '10.77.0.0/16' }]), /overlap/);
});
