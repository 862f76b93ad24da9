import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { DhcpInterface, DhcpMode } from '../../../shared/contract/dhcp.ts';
import { type NetworkInterface, networkOf } from '../../../shared/desktop/interface.ts';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { Switch } from '../parts/Switch.tsx';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Confirm } from './parts/Confirm.tsx';
import { Pick } from './parts/Pick.tsx';
import { useLab } from './store.ts';

interface Props {
  /** The interface that is changed; null to choose one. */
  readonly name: string | null;
  readonly onClose: () => void;
}

const modes: readonly DhcpMode[] = ['off', 'proxy', 'full'];

/** Asks on which interface machines are booted, and who gives them their addresses. */
export function NetworkSheet({ name, onClose }: Props) {
  const { t } = useTranslation();
  const form = useNetworkForm(name);
  return (
    <Confirm
      title={t('lab.boot.interfaces')}
      act={t('lab.common.apply')}
      isReady={form.isReady}
      onAct={form.apply}
      onClose={onClose}
    >
      <NetworkFields form={form} />
    </Confirm>
  );
}

export interface NetworkForm {
  readonly all: readonly NetworkInterface[] | undefined;
  readonly chosen: NetworkInterface | undefined;
  readonly fixed: boolean;
  readonly mode: DhcpMode;
  readonly first: string;
  readonly last: string;
  readonly anyway: boolean;
  readonly set: (changes: Partial<Draft>) => void;
  readonly isReady: boolean;
  readonly apply: () => Promise<boolean>;
}

interface Draft {
  readonly interface: string;
  readonly mode: DhcpMode;
  readonly first: string;
  readonly last: string;
  readonly anyway: boolean;
}

export function useNetworkForm(name: string | null): NetworkForm {
  const { value: all } = useAnswer('interfaces', () => ask('GET /network/interfaces'));
  const { value: settings } = useAnswer('dhcp settings', () => ask('GET /dhcp/settings'));
  const [draft, setDraft] = useState<Partial<Draft>>({});
  const usual = all?.find(({ address, link }) => address !== null && link)?.name ?? all?.[0]?.name ?? '';
  const wanted = name ?? draft.interface ?? usual;
  const chosen = all?.find((one) => one.name === wanted);
  const before = settings?.interfaces.find((one) => one.interface === wanted);
  const pool = before?.subnets?.[0]?.pools?.[0] ?? chosen?.pool;
  const mode = draft.mode ?? before?.mode ?? 'proxy';
  const first = draft.first ?? pool?.first ?? '';
  const last = draft.last ?? pool?.last ?? '';
  const anyway = draft.anyway ?? before?.anyway ?? false;
  const apply = () =>
    attempt(async () => {
      if (wanted === '') return;
      // They are written as a whole: what somebody else set meanwhile stays.
      const now = await ask('GET /dhcp/settings');
      const known = now.interfaces.find((one) => one.interface === wanted);
      const next = interfaceOf({ interface: wanted, mode, first, last, anyway }, known, chosen);
      const others = now.interfaces.filter((one) => one.interface !== wanted);
      await ask('PUT /dhcp/settings', { body: { ...now, interfaces: [...others, next] } });
      useLab.getState().say('good', 'lab.network.applied');
      askAgain('');
    });
  return {
    all,
    chosen,
    fixed: name !== null,
    mode,
    first,
    last,
    anyway,
    // Another interface has another pool.
    set: (changes) => setDraft(changes.interface === undefined ? { ...draft, ...changes } : changes),
    isReady: settings !== undefined && wanted !== '' && (mode !== 'full' || (first !== '' && last !== '')),
    apply,
  };
}

/** Subnets beside the interface's own, which are made elsewhere, stay as they are. */
function interfaceOf(
  draft: Draft,
  before: DhcpInterface | undefined,
  chosen: NetworkInterface | undefined,
): DhcpInterface {
  const { interface: name, mode, first, last, anyway } = draft;
  const common = { ...before, interface: name, mode, anyway };
  if (mode !== 'full' || !chosen?.address) return common;
  const network = networkOf(chosen.address);
  const own = before?.subnets?.find((one) => one.network === network);
  const others = (before?.subnets ?? []).filter((one) => one.network !== network);
  const untouched = chosen.pool?.first === first && chosen.pool.last === last && own === undefined;
  if (untouched) return common;
  return { ...common, subnets: [{ ...own, network, pools: [{ first, last }] }, ...others] };
}

export function NetworkFields({ form }: { readonly form: NetworkForm }) {
  const { t } = useTranslation();
  const { all, chosen, fixed, mode, first, last, anyway, set } = form;
  if (all?.length === 0) return <Note kind="warn">{t('lab.network.noInterface')}</Note>;
  const described = ({ name, address, link }: NetworkInterface) =>
    [
      name,
      address === null ? t('lab.network.noAddress') : `${address.ip}/${address.prefix}`,
      link ? null : t('lab.network.noLink'),
    ]
      .filter(Boolean)
      .join(' · ');
  const shown = fixed ? (all ?? []).filter((one) => one === chosen) : (all ?? []);
  return (
    <>
      <Pick
        label={t('lab.network.interface')}
        value={chosen?.name ?? ''}
        options={shown.map((one) => ({ key: one.name, text: described(one) }))}
        onChange={(name) => set({ interface: name })}
      />
      {chosen === undefined ? null : <OtherServers key={chosen.name} name={chosen.name} />}
      <Pick
        label={t('lab.network.mode')}
        value={mode}
        options={modes.map((key) => ({ key, text: t(`lab.network.modes.${key}`) }))}
        onChange={(next) => set({ mode: next })}
        hint={t(`lab.network.modeHints.${mode}`)}
      />
      {mode === 'full' ? (
        <>
          {chosen?.address === null ? <Note kind="warn">{t('lab.network.poolNone')}</Note> : null}
          <div className="form-row">
            <Field label={t('lab.network.first')} value={first} onChange={(value) => set({ first: value })} />
            <Field label={t('lab.network.last')} value={last} onChange={(value) => set({ last: value })} />
          </div>
          <Switch
            label={t('lab.network.anyway')}
            hint={t('lab.network.anywayHint')}
            value={anyway}
            onChange={(value) => set({ anyway: value })}
          />
        </>
      ) : null}
    </>
  );
}

type Search =
  | { readonly kind: 'none' | 'busy' | 'forbidden' }
  | { readonly kind: 'found'; readonly servers: readonly string[] };

function OtherServers({ name }: { readonly name: string }) {
  const { t } = useTranslation();
  const [search, setSearch] = useState<Search>({ kind: 'none' });
  const look = async () => {
    setSearch({ kind: 'busy' });
    const done = await attempt(async () => {
      const found = await ask('GET /network/interfaces', { query: { search: name } });
      const servers = found.find((one) => one.name === name)?.servers ?? null;
      setSearch(servers === null ? { kind: 'forbidden' } : { kind: 'found', servers });
    });
    if (!done) setSearch({ kind: 'none' });
  };
  return (
    <div className="form-actions" role="status">
      <Button isDisabled={search.kind === 'busy'} onPress={() => void look()}>
        {search.kind === 'busy' ? t('lab.network.searching') : t('lab.network.search')}
      </Button>
      <span className="quiet">
        {search.kind === 'forbidden' ? t('lab.network.notLooked') : null}
        {search.kind === 'found' && search.servers.length === 0 ? t('lab.network.foundNone') : null}
        {search.kind === 'found' && search.servers.length > 0
          ? t('lab.network.found', { servers: search.servers.join(', ') })
          : null}
      </span>
    </div>
  );
}
