import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Check } from 'typebox/value';
import { DhcpQuestion } from '../../shared/contract/dhcp.ts';
import { ExitCode, failure } from '../../shared/failure.ts';
import { survey } from '../boot/binaries.ts';
import type { Loaded } from '../config/load.ts';
import { explain, explanationText } from '../dhcp/explain.ts';
import { bootPolicy, savedSettings, startSettings } from '../dhcp/part.ts';
import { networks } from '../dhcp/server.ts';
import { Store } from '../dhcp/store.ts';
import { placeOf } from '../dhcp/subnet.ts';
import { explainFlags } from './explainflags.ts';

const usage = (problem: string) => failure('USAGE', { problem });

function questionOf(own: readonly string[]): { question: DhcpQuestion; isJson: boolean } {
  let values: ReturnType<typeof parseArgs<{ options: typeof explainFlags }>>['values'];
  try {
    ({ values } = parseArgs({ args: [...own], options: explainFlags }));
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
  if (values.mac === undefined)
    throw usage('explain needs --mac, and usually --arch (7 is x64 UEFI, 0 BIOS).');
  const question = {
    mac: values.mac.toLowerCase().replaceAll('-', ':'),
    ...(values.arch === undefined ? {} : { arch: Number(values.arch) }),
    ...(values['user-class'] === undefined ? {} : { userClass: values['user-class'] }),
    ...(values['vendor-class'] === undefined ? {} : { vendorClass: values['vendor-class'] }),
    ...(values.features === undefined ? {} : { features: values.features.split(',').filter(Boolean) }),
    ...(values.message === undefined ? {} : { message: values.message }),
  };
  if (!Check(DhcpQuestion, question)) {
    throw usage(
      '--mac is like 52:54:00:12:34:56, --arch a number, --features of http,bzimage,efi, --message discover or 4011.',
    );
  }
  return { question, isJson: values.json === true };
}

/** Says what a client would be answered, from the saved settings and leases; changes nothing. */
export async function explainCommand({ config }: Loaded, own: readonly string[]): Promise<ExitCode> {
  const { question, isJson } = questionOf(own);
  const folder = join(config.stateDir, 'dhcp');
  const settings = startSettings(config, savedSettings(folder) ?? { interfaces: [] });
  const known = networks();
  const places = settings.interfaces.map((one) => {
    const checked = placeOf(one, known.get(one.interface)?.addresses ?? []);
    if (checked.kind === 'valid') return checked.value;
    throw failure('DHCP_SETTINGS_INVALID', { interface: one.interface, problem: checked.problem });
  });
  if (places.length === 0) throw usage('no interface is set up: name one with --interface and --dhcp.');
  const files = survey({ operator: [config.bootDir], built: join(config.stateDir, 'boot', 'built') });
  const boot = bootPolicy(
    config.webPort,
    (file) => files.found.has(file),
    () => settings,
  );
  const { book, memory } = await Store.read(join(folder, 'leases.journal'));
  const answers = explain(question, { places, leases: book, memory, boot, now: Date.now() });
  const text = isJson ? JSON.stringify(answers, null, 2) : answers.map(explanationText).join('\n\n');
  process.stdout.write(`${text}\n`);
  return ExitCode.ok;
}
