import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { StepState, TaskState } from '../../../shared/contract/task.ts';
import { Button } from '../parts/Button.tsx';
import { Note } from '../parts/Note.tsx';
import { attempt } from './answer.ts';
import { address, ask } from './api.ts';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Time } from './parts/Time.tsx';
import { useLab } from './store.ts';
import { TaskLog } from './TaskLog.tsx';

/** One run: where it is, its steps, its output, and what can be done about it. */
export function TaskRun({ run }: { readonly run: TaskState }) {
  const { t } = useTranslation();
  const [live, setLive] = useState<TaskState | null>(null);
  const onState = useCallback((state: TaskState) => setLive(state), []);
  // The stream of this run is ahead of the answer, but for another run's.
  const state = live?.id === run.id ? live : run;
  const { id, mac, stage, status, doing, error, advice, code } = state;
  const params = { id: String(id) };
  const operates = useLab(({ scope }) => scope !== 'read');
  const cancel = () =>
    attempt(async () => {
      await ask('DELETE /tasks/{mac}', { params: { mac } });
      useLab.getState().say('good', 'lab.task.cancelled');
    });
  return (
    <div className="task-run" data-status={status}>
      <p role="status">
        <span className={`task-state task-state-${status}`}>
          {stage === 'ended' ? t(`lab.task.states.${status}`) : t(`lab.task.stages.${stage}`)}
        </span>{' '}
        {state.task_ref}
        {state.version === null ? '' : ` (${t('lab.task.version', { version: state.version })})`}{' '}
        {t('lab.task.user', { user: state.user })}{' '}
        <Time at={state.started_at === null ? null : state.started_at * 1000} />
      </p>
      {doing === null ? null : <p className="quiet">{doing}</p>}
      {error === null ? null : (
        <Note kind={status === 'cancelled' ? 'warn' : 'bad'}>
          <p>
            <strong>{error}</strong> {advice}{' '}
            {code === null ? null : <span className="code">{t('lab.trouble.code', { code })}</span>}
          </p>
        </Note>
      )}
      <HostKey state={state} />
      <Steps steps={state.steps} />
      <TaskLog key={id} id={id} onState={onState} />
      {state.output_dropped > 0 ? (
        <p className="quiet">{t('lab.task.cut', { count: state.output_dropped })}</p>
      ) : null}
      <div className="row-actions">
        {stage !== 'ended' && operates ? (
          <Asked
            title={t('lab.task.cancelTitle', { mac })}
            text={t('lab.task.cancelText')}
            act={t('lab.task.cancel')}
            onAct={cancel}
          >
            {(open) => (
              <Button look="danger" onPress={open}>
                {t('lab.task.cancel')}
              </Button>
            )}
          </Asked>
        ) : null}
        <a className="link" href={address('GET /tasks/runs/{id}/report', { params })} download>
          {t('lab.task.report')}
        </a>{' '}
        <a className="link" href={address('GET /tasks/runs/{id}/junit', { params })} download>
          {t('lab.task.junit')}
        </a>
      </div>
    </div>
  );
}

function HostKey({ state: { mac, host_key } }: { readonly state: TaskState }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const operates = useLab(({ scope }) => scope !== 'read');
  if (host_key === null) return null;
  const { fingerprint, expected, previous } = host_key;
  const accept = () => attempt(() => ask('DELETE /machines/{mac}/host-key', { params: { mac } }));
  return (
    <>
      <p>
        {t('lab.task.hostKey')}: <span className="mono task-print">{fingerprint}</span>
      </p>
      {previous === null ? null : (
        <p className="quiet">{t('lab.task.keyBefore', { fingerprint: previous })}</p>
      )}
      {expected === null ? null : (
        <Note kind="bad">
          <p>{t('lab.task.keyChanged', { expected })}</p>
          {operates ? <Button onPress={() => setAsking(true)}>{t('lab.task.accept')}</Button> : null}
        </Note>
      )}
      {asking ? (
        <Confirm
          danger
          title={t('lab.task.acceptTitle', { mac })}
          act={t('lab.task.accept')}
          onAct={accept}
          onClose={() => setAsking(false)}
        >
          <p>{t('lab.task.acceptText')}</p>
        </Confirm>
      ) : null}
    </>
  );
}

function Steps({ steps }: { readonly steps: readonly StepState[] }) {
  const { t } = useTranslation();
  if (steps.length === 0) return null;
  return (
    <ol className="task-steps" aria-label={t('lab.task.steps')}>
      {steps.map(({ name, uses, status, duration, exit_code, error }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: steps have no other identity
        <li key={index} data-status={status}>
          <strong>{name}</strong> <span className="quiet">{uses}</span>{' '}
          <span className={`task-state task-state-${status}`}>{t(`lab.task.states.${status}`)}</span>{' '}
          {duration === null ? null : (
            <span className="quiet">{t('lab.task.seconds', { seconds: duration.toFixed(1) })}</span>
          )}{' '}
          {exit_code === null || exit_code === 0 ? null : (
            <span className="quiet">{t('lab.task.exit', { code: exit_code })}</span>
          )}
          {error === null ? null : <p className="problem">{error}</p>}
        </li>
      ))}
    </ol>
  );
}
