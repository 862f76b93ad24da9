import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFailure, ExitCode, exitCodeOf, failure, failureCodes, fromReport } from './failure.ts';

test('a failure states both sides and gives advice', () => {
  const found = failure('TARGET_TOO_SMALL', {
    target: '/dev/sdb',
    image: 'debian.img',
    imageBytes: 8_100_000_000,
    targetBytes: 7_900_000_000,
  });
  assert.match(
    found.message,
    /debian\.img needs 8100000000 bytes \(8\.1 GB\), and \/dev\/sdb holds 7900000000 bytes/,
  );
  assert.equal(found.advice, 'Choose a larger disk or a smaller image.');
  assert.equal(found.exitCode, ExitCode.failed);
});

test('a failure survives the way over a wire', () => {
  const found = failure('VERIFY_MISMATCH', { target: '/dev/sdb', offset: 4096, length: 512 });
  const copy = fromReport(JSON.parse(JSON.stringify(found.report())));
  assert.deepEqual(copy.report(), found.report());
  assert.equal(copy.exitCode, found.exitCode);
});

test('everything that is no failure is a fault of our own, with its cause kept', () => {
  const cause = new TypeError('x is not a function');
  assert.equal(asFailure(cause).code, 'INTERNAL');
  assert.equal(asFailure(cause).cause, cause);
});

test('every exit code of the contract is reached by some failure', () => {
  const reached = new Set<number>(failureCodes.map(exitCodeOf));
  for (const code of [1, 2, 3, 4, 5, 130]) assert.ok(reached.has(code), `exit code ${code}`);
});
