import { useState } from 'react';
import { type ApplianceWish, defaultWish } from '../../../shared/app/appliance.ts';
import { holdsAddress, type NetworkInterface } from '../../../shared/desktop/interface.ts';
import type { FailureReport } from '../../../shared/failure.ts';
import { ask } from '../client.ts';
import { BoltIcon, RetryIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Failed } from '../parts/Failed.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { Options } from '../parts/Options.tsx';
import { Switch } from '../parts/Switch.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';
import { InterfaceWords, usable } from './InterfaceWords.tsx';

type Choices = Omit<ApplianceWish, 'interface'> & { readonly interface: string | null };

/** Everything that is chosen before the appliance is started. */
export function ApplianceSetup({ problem }: { readonly problem: FailureReport | null }) {
  const { t } = useText();
  const { wish, interfaces } = useStore((state) => state.appliance);
  const [chosen, setChosen] = useState<Choices>(wish ?? { ...defaultWish, interface: null });
  const change = (changes: Partial<Choices>) => setChosen((before) => ({ ...before, ...changes }));
  const known = interfaces ?? [];
  // The only one that can be used is chosen for a person who has not chosen yet.
  const fitting = known.filter((one) => usable(one) && one.kind !== 'wireless');
  const name = chosen.interface ?? (fitting.length === 1 ? (fitting[0]?.name ?? null) : null);
  const network = known.find((one) => one.name === name) ?? null;
  const poolIsBad = chosen.mode === 'full' && network !== null && !poolFits(chosen.pool, network);
  const portIsBad = !(chosen.port >= 1 && chosen.port <= 65_535);
  const isReady = network !== null && usable(network) && !poolIsBad && !portIsBad;
  const start = () =>
    void attempt(async () => {
      if (network) await ask('appliance.start', { ...chosen, interface: network.name });
    });
  return (
    <>
      <div className="scroll">
        <div className="column">
          <div>
            <h1 id="screen-title" className="title">
              {t('appliance.title')}
            </h1>
            <p className="quiet">{t('appliance.intro')}</p>
          </div>
          {problem === null ? null : (
            <div role="alert">
              <Note kind="bad">
                <Failed failure={problem} />
              </Note>
            </div>
          )}
          <Networks
            interfaces={interfaces}
            value={name}
            onChange={(found) => change({ interface: found, pool: null })}
          />
          <Mode chosen={chosen} network={network} poolIsBad={poolIsBad} onChange={change} />
          <Images folder={chosen.imageFolder} onChange={(imageFolder) => change({ imageFolder })} />
          <Access chosen={chosen} portIsBad={portIsBad} onChange={change} />
        </div>
      </div>
      <section className="review" aria-label={t('review.label')}>
        <p className="review-words" role="status">
          {network?.address && usable(network)
            ? t('appliance.ready', {
                interface: network.name,
                address: network.address.ip,
                mode: t(`appliance.readyModes.${chosen.mode}`),
              })
            : t('appliance.needInterface')}
        </p>
        <Button look="primary" icon={<BoltIcon size={18} />} isDisabled={!isReady} onPress={start}>
          {t('appliance.start')}
        </Button>
      </section>
    </>
  );
}

function poolFits(pool: ApplianceWish['pool'], { address }: NetworkInterface): boolean {
  if (pool === null || address === null) return true;
  return holdsAddress(address, pool.first) && holdsAddress(address, pool.last);
}

interface NetworksProps {
  readonly interfaces: readonly NetworkInterface[] | null;
  readonly value: string | null;
  readonly onChange: (name: string) => void;
}

function Networks({ interfaces, value, onChange }: NetworksProps) {
  const { t } = useText();
  return (
    <section className="card card-roomy">
      <div className="page-head">
        <div>
          <h2 id="networks-title" className="switch-label">
            {t('appliance.network')}
          </h2>
          <p className="switch-hint">{t('appliance.networkHint')}</p>
        </div>
        <Button
          look="quiet"
          icon={<RetryIcon size={16} />}
          onPress={() => void attempt(() => ask('appliance.look', {}))}
        >
          {t('appliance.refresh')}
        </Button>
      </div>
      {interfaces === null ? <Bar label={t('appliance.looking')} share={null} /> : null}
      {interfaces?.length === 0 ? <p className="quiet">{t('appliance.none')}</p> : null}
      <Options
        labelledBy="networks-title"
        value={value}
        onChange={onChange}
        options={(interfaces ?? []).map((one) => ({
          key: one.name,
          isDisabled: !usable(one),
          content: <InterfaceWords network={one} />,
        }))}
      />
    </section>
  );
}

interface PartProps {
  readonly chosen: Choices;
  readonly onChange: (changes: Partial<Choices>) => void;
}

function Mode({
  chosen,
  network,
  poolIsBad,
  onChange,
}: PartProps & { readonly network: NetworkInterface | null; readonly poolIsBad: boolean }) {
  const { t } = useText();
  const servers = network?.servers ?? null;
  const warning =
    servers === null
      ? null
      : chosen.mode === 'full' && servers.length > 0
        ? t('appliance.modeWarnings.fullBeside', { servers: servers.join(', ') })
        : chosen.mode === 'proxy' && servers.length === 0
          ? t('appliance.modeWarnings.proxyAlone')
          : null;
  // Where it is known that nobody gives out addresses, a proxy would help nobody.
  const recommended = servers?.length === 0 ? 'full' : 'proxy';
  const pool = chosen.pool ?? network?.pool ?? null;
  return (
    <section className="card card-roomy">
      <h2 id="mode-title" className="switch-label">
        {t('appliance.mode')}
      </h2>
      <Options
        labelledBy="mode-title"
        value={chosen.mode}
        onChange={(mode) => onChange({ mode })}
        options={(['proxy', 'full'] as const).map((mode) => ({
          key: mode,
          content: (
            <span className="disk-words">
              <span className="disk-line">
                <span className="disk-name">{t(`appliance.modes.${mode}`)}</span>
                {mode === recommended ? (
                  <span className="badge badge-done">{t('appliance.modes.recommended')}</span>
                ) : null}
              </span>
              <span className="disk-place">{t(`appliance.modes.${mode}Hint`)}</span>
            </span>
          ),
        }))}
      />
      {warning === null ? null : <Note kind="warn">{warning}</Note>}
      {chosen.mode === 'full' && pool !== null ? (
        <fieldset className="pool">
          <legend className="field-label">{t('appliance.pool')}</legend>
          <div className="pool-row">
            {(['first', 'last'] as const).map((end) => (
              <Field
                key={end}
                label={t(end === 'first' ? 'appliance.poolFirst' : 'appliance.poolLast')}
                value={pool[end]}
                onChange={(text) => onChange({ pool: { ...pool, [end]: text.trim() } })}
              />
            ))}
          </div>
          <p className={poolIsBad ? 'field-problem' : 'field-hint'}>
            {t(poolIsBad ? 'appliance.badAddress' : 'appliance.poolHint')}
          </p>
        </fieldset>
      ) : null}
    </section>
  );
}

interface ImagesProps {
  readonly folder: string | null;
  readonly onChange: (folder: string | null) => void;
}

function Images({ folder, onChange }: ImagesProps) {
  const { t } = useText();
  const own = useStore((state) => state.appliance.ownFolder);
  const choose = () =>
    void attempt(async () => {
      const found = await ask('appliance.folder', {});
      if (found !== null) onChange(found);
    });
  return (
    <section className="card">
      <div className="setting">
        <div className="grow-words">
          <h2 className="switch-label">{t('appliance.images')}</h2>
          <p className="switch-hint">{t('appliance.imagesHint')}</p>
          <p className="catalog-name">{folder ?? own}</p>
        </div>
        {folder === null ? null : (
          <Button look="quiet" onPress={() => onChange(null)}>
            {t('appliance.ownFolder')}
          </Button>
        )}
        <Button onPress={choose}>{t('appliance.choose')}</Button>
      </div>
    </section>
  );
}

function Access({ chosen, portIsBad, onChange }: PartProps & { readonly portIsBad: boolean }) {
  const { t } = useText();
  return (
    <section className="card" aria-labelledby="access-title">
      <h2 id="access-title" className="for-readers">
        {t('appliance.more')}
      </h2>
      <Switch
        label={t('appliance.stay')}
        hint={t('appliance.stayHint')}
        value={chosen.stay}
        onChange={(stay) => onChange({ stay })}
      />
      <div className="setting">
        <div>
          <p className="switch-label">{t('appliance.port')}</p>
          <p className="switch-hint">{t('appliance.portHint')}</p>
        </div>
        <div className="port">
          <Field
            label={t('appliance.port')}
            value={Number.isNaN(chosen.port) ? '' : String(chosen.port)}
            problem={portIsBad ? t('appliance.badPort') : null}
            onChange={(text) => onChange({ port: /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN })}
          />
        </div>
      </div>
    </section>
  );
}
