import { useEffect, useState } from 'react';
import type { MachineShown, StoryShown } from '../../../shared/app/appliance.ts';
import { ask } from '../client.ts';
import { CheckIcon, WarnIcon } from '../icons.tsx';
import { Clock } from '../parts/Clock.tsx';
import { Note } from '../parts/Note.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';

/** Machines, how the chosen one booted, and what is missing: without the appliance's own pages. */
export function ApplianceOverview() {
  const { t } = useText();
  const { machines, story } = useStore((state) => state.machines);
  const checks = useStore((state) => state.appliance.facts?.checks) ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  useEffect(() => {
    void attempt(async () => useStore.setState({ machines: await ask('appliance.watch', { mac: chosen }) }));
  }, [chosen]);
  const machine = machines.find(({ mac }) => mac === chosen) ?? null;
  return (
    <div className="scroll">
      <div className="column column-wide">
        <ul className="checks" aria-label={t('appliance.checks')}>
          {checks.map(({ name, ok, reason }) => (
            <li key={name} className={ok ? 'check check-ok' : 'check check-missing'}>
              {ok ? <CheckIcon size={16} /> : <WarnIcon size={16} />}
              <span>{ok ? t('appliance.checkOk', { name }) : reason}</span>
            </li>
          ))}
        </ul>
        <section aria-labelledby="machines-title">
          <h2 id="machines-title" className="switch-label">
            {t('appliance.machines')}
          </h2>
          {machines.length === 0 ? (
            <div className="nothing">
              <p className="drop-title">{t('appliance.noMachines')}</p>
              <p>{t('appliance.noMachinesHint')}</p>
            </div>
          ) : (
            <Table machines={machines} chosen={chosen} onChoose={setChosen} />
          )}
        </section>
        {machines.length === 0 ? null : (
          <Story machine={machine} story={story?.mac === chosen ? story : null} />
        )}
      </div>
    </div>
  );
}

interface TableProps {
  readonly machines: readonly MachineShown[];
  readonly chosen: string | null;
  readonly onChoose: (mac: string) => void;
}

function Table({ machines, chosen, onChoose }: TableProps) {
  const { t, date } = useText();
  return (
    <table className="table">
      <thead>
        <tr>
          {(['machine', 'address', 'phase', 'policy', 'seen'] as const).map((column) => (
            <th key={column} scope="col">
              {t(`appliance.columns.${column}`)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {machines.map(({ mac, name, address, phase, policy, seen }) => (
          <tr key={mac} className={mac === chosen ? 'row-chosen' : undefined}>
            <td className="table-name">
              <button
                type="button"
                className="row-button"
                aria-pressed={mac === chosen}
                onClick={() => onChoose(mac)}
              >
                {name === null ? mac : `${name} (${mac})`}
              </button>
            </td>
            <td>{address ?? ''}</td>
            <td>{phase}</td>
            <td>{policy}</td>
            <td>
              {seen === null ? (
                ''
              ) : (
                <time dateTime={seen} title={seen}>
                  {date(Date.parse(seen))}
                </time>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface StoryProps {
  readonly machine: MachineShown | null;
  readonly story: StoryShown | null;
}

function Story({ machine, story }: StoryProps) {
  const { t } = useText();
  if (machine === null) return <p className="quiet">{t('appliance.noStory')}</p>;
  return (
    <section aria-labelledby="story-title">
      <h2 id="story-title" className="switch-label">
        {t('appliance.story', { name: machine.name ?? machine.mac })}
      </h2>
      {story === null ? <p className="quiet">{t('appliance.neverBooted')}</p> : <Steps story={story} />}
    </section>
  );
}

function Steps({ story }: { readonly story: StoryShown }) {
  const { t } = useText();
  const isBad = story.state === 'stopped' || story.state === 'failed';
  return (
    <>
      <Note kind={isBad ? 'warn' : 'info'}>
        <strong>{t(`appliance.states.${story.state}`)}:</strong> {story.cause} {story.advice}
      </Note>
      <ol className="steps">
        {story.steps.map((step, index) => (
          // Steps are only ever added at the end.
          // biome-ignore lint/suspicious/noArrayIndexKey: a step has no name of its own
          <li key={index} className="story-step">
            <Clock at={step.at} />
            <span className="step-kind">{step.kind}</span>
            <span className="step-detail">{step.detail}</span>
          </li>
        ))}
      </ol>
    </>
  );
}
