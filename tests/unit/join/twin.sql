-- The join once more, in SQL, for many worlds at a time: written from the conventions, not from the code.
--
-- Only equality joins, one range join (the fallback), groups, and ranks over windows, so any SQL engine can run it.
-- In: contracts, ranks, blocking, label_names, predictions, outcomes, actions; each row belongs to a world, and every key begins with it.
-- Times are microseconds since 1970. Out: joined, candidates, audit, refused.

-- ---- predictions: each row breaks at most one rule, the first one -------------------------------------------------

-- A log without ids is named by its join keys, written together so that they can be told apart again.
create or replace temp table p_named as
select p.* exclude (prediction_id),
    case when c.logs_ids then p.prediction_id
      when trim(p.request_id) <> '' and trim(p.item_id) <> '' and trim(p.position) <> '' then
        replace(replace(p.request_id, '\', '\\'), '|', '\|') || '|' ||
        replace(replace(p.item_id, '\', '\\'), '|', '\|') || '|' || p.position
    end as prediction_id,
    case when c.several_keys then p.request_id || chr(31) || p.item_id || chr(31) || p.position end as shared_key
from predictions p join contracts c using (world);

create or replace temp table p_checked as
select *, case
    when prediction_id is null or trim(prediction_id) = '' then 'null_id'
    when ts_pred is null then 'null_time'
    when score is null then 'null_score'
    when not isfinite(score) then 'score_not_finite'
    when score < 0 or score > 1 then 'score_out_of_range'
  end as rule
from p_named;

-- Identical rows are one content; an id with two contents stands for nothing.
create or replace temp table p_contents as
select *, count(*) over (partition by world, prediction_id) as contents,
    greatest(ts_pred, coalesce(ts_logged, ts_pred)) as known_at
from (select * exclude (rule), count(*) as copies from p_checked where rule is null group by all);

-- Of several keys together only one prediction may speak.
create or replace temp table p_usual as
select *, case when shared_key is null then 1 else count(*) over (partition by world, shared_key) end as sharing
from p_contents where contents = 1;

-- ---- outcomes -----------------------------------------------------------------------------------------------------

create or replace temp table o_complete as
select
    o.* exclude (prediction_id, request_id, item_id, position, ts_arrival, source, label_version),
    case when trim(o.prediction_id) <> '' then o.prediction_id end as prediction_id,
    case when trim(o.request_id) <> '' then o.request_id end as request_id,
    case when trim(o.item_id) <> '' then o.item_id end as item_id,
    case when trim(o.position) <> '' then o.position end as position,
    coalesce(o.ts_arrival, o.ts_event) as ts_arrival,
    coalesce(o.source, 'auto') as source,
    nullif(trim(o.label_version), '') as label_version,
    -- A statement that names no label is about the primary one.
    coalesce(trim(o.label_name) = c.label_asked, false) or (c.is_primary and coalesce(trim(o.label_name), '') = '') as about,
    case when c.fallback is not null then nullif(trim(o.account), '') end as entity,
    o.ts_arrival is null as arrival_unknown
from outcomes o join contracts c using (world);

create or replace temp table o_keyed as
select o.*, case
    when c.several_keys then o.request_id || chr(31) || o.item_id || chr(31) || o.position
    else o.prediction_id
  end as key
from o_complete o join contracts c using (world);

create or replace temp table o_checked as
select o.*, case
    when not o.about then 'other_label'
    when o.key is null and o.entity is null then 'no_key'
    when o.ts_event is null then 'null_time'
    when o.ts_arrival < o.ts_event then 'arrival_before_event'
    when o.label is null or not isfinite(o.label) then 'null_label'
    when c.combine not in ('sum', 'count') and o.label not in (0, 1) then 'label_not_binary'
  end as rule
from o_keyed o join contracts c using (world);

create or replace temp table o_contents as
select *, case
    when trim(outcome_id) <> '' then count(*) over (partition by world, outcome_id)
    else 1
  end as contents
from (select * exclude (rule, arrival_unknown, about), count(*) as copies from o_checked where rule is null group by all);

-- ---- actions ------------------------------------------------------------------------------------------------------

create or replace temp table a_checked as
select *, case
    when prediction_id is null or trim(prediction_id) = '' then 'null_id'
    when action is null then 'null_action'
    when propensity is not null and not (isfinite(propensity) and propensity > 0 and propensity <= 1)
      then 'propensity_out_of_range'
  end as rule
from actions;

create or replace temp table a_contents as
select *, count(*) over (partition by world, prediction_id) as contents
from (select * exclude (rule), count(*) as copies from a_checked where rule is null group by all);

-- ---- the account of the load, and what is refused as a whole -----------------------------------------------------

create or replace temp table load_account as
select world, "table", rule, sum("rows") as "rows" from (
select world, 'predictions' as "table", rule, count(*) as "rows" from p_checked where rule is not null group by all
union all
select world, 'predictions', case when contents > 1 then 'conflicting_id' else 'duplicate_row' end,
    sum(case when contents > 1 then copies else copies - 1 end)
from p_contents where copies > 1 or contents > 1 group by all
union all
select world, 'predictions', 'conflicting_id', count(*) from p_usual where sharing > 1 group by all
union all
select world, 'outcomes', rule, count(*) from o_checked where rule is not null group by all
union all
select world, 'outcomes', 'duplicate_row', sum(copies - 1) from o_contents where copies > 1 group by all
union all
select world, 'outcomes', 'conflicting_id', count(*) from o_contents where contents > 1 group by all
union all
select world, 'actions', rule, count(*) from a_checked where rule is not null group by all
union all
select world, 'actions', case when contents > 1 then 'conflicting_id' else 'duplicate_row' end,
    sum(case when contents > 1 then copies else copies - 1 end)
from a_contents where copies > 1 or contents > 1 group by all
) group by all;

create or replace temp table sizes as
select c.world, t."table", count(x.world) as total
from contracts c cross join (values ('predictions'), ('outcomes'), ('actions')) t("table")
left join (
    select world, 'predictions' as "table" from predictions
    union all select world, 'outcomes' from outcomes
    union all select world, 'actions' from actions
) x on x.world = c.world and x."table" = t."table"
group by all;

-- ---- what was known when one looks ------------------------------------------------------------------------------

-- A log that speaks of other labels only is refused, unless the contract knows them and asks for its primary.
create or replace temp table no_statement_about as
select c.world
from contracts c
left join outcomes o using (world)
left join label_names n on n.world = o.world and n.name = trim(o.label_name)
group by c.world, c.label_asked, c.is_primary, c.names_labels
having not coalesce(bool_or(trim(o.label_name) = c.label_asked), false)
  and not (c.is_primary and (not c.names_labels or
    coalesce(bool_or(o.world is not null and coalesce(trim(o.label_name), '') = ''), false)))
  and not (c.is_primary and not coalesce(bool_or(trim(o.label_name) <> '' and n.name is null), false));

create or replace temp table views as
select c.* exclude (as_of), coalesce(c.as_of, o.newest, p.newest) as as_of
from contracts c
left join (
    select world, max(ts_arrival) as newest from o_checked
    where rule is null or (rule = 'other_label' and ts_arrival >= ts_event)
    group by world
) o using (world)
left join (select world, max(ts_pred) as newest from p_usual where sharing = 1 group by world) p using (world);

-- Two contents of one id clash from the moment on at which the second is known, not before.
create or replace temp table p_then as
select p.*, count(*) over (partition by p.world, p.prediction_id) as contents_then
from p_contents p join views v using (world)
where p.known_at <= v.as_of;

create or replace temp table p_single as
select *, case when shared_key is null then 1 else count(*) over (partition by world, shared_key) end as sharing
from p_then where contents_then = 1;

create or replace temp table known as
select p.*, nullif(trim(p.account), '') as entity, coalesce(p.shared_key, p.prediction_id) as key,
    v.window_us + case
        when v.session and trim(p.session_id) <> ''
          then max(p.ts_pred) over (partition by p.world, v.session and trim(p.session_id) <> '', trim(p.session_id))
        else p.ts_pred
    end as closes
from p_single p join views v using (world)
where p.sharing = 1;

create or replace temp table o_then as
select o.world, o.outcome_id, count(*) as contents_then
from o_contents o join views v using (world)
where o.contents > 1 and o.ts_arrival <= v.as_of
group by all;

create or replace temp table told as
select o.*
from o_contents o join views v using (world) left join o_then t using (world, outcome_id)
where o.contents = 1 or (o.ts_arrival <= v.as_of and t.contents_then = 1);

create or replace temp table a_then as
select a.*, count(*) over (partition by a.world, a.prediction_id) as contents_then
from a_contents a join views v using (world)
where a.ts_action is null or a.ts_action <= v.as_of;

-- Statements are numbered by content: keyed ones first, then by event, then by the other columns in the order of their
-- names. The number breaks ties, so it must not depend on the order of the file.
create or replace temp table statements as
select * exclude (copies, contents), row_number() over (
    partition by world
    order by key is null, ts_event, entity nulls last, account nulls last, item_id nulls last, label, label_name nulls last, label_version nulls last,
        outcome_id nulls last, position nulls last,
        prediction_id nulls last, request_id nulls last, source, ts_arrival
  ) - 1 as statement
from told;

create or replace temp table refused as
select a.world from load_account a join sizes s using (world, "table")
left join load_account other on other.world = a.world and other."table" = a."table" and other.rule = 'other_label'
where a.rule not in ('duplicate_row', 'other_label') and 2 * a."rows" > s.total - coalesce(other."rows", 0)
union
select world from no_statement_about
union
select c.world from contracts c anti join known k using (world);

-- ---- pairing ------------------------------------------------------------------------------------------------------

create or replace temp table by_id as
select s.*, k.prediction_id as claimed, k.ts_pred, k.closes,
    case when k.prediction_id is not null then 'by_id' end as pairing, 0 as n_rivals,
    case when k.prediction_id is null then 'orphan' end as lost
from statements s left join known k using (world, key)
where s.key is not null;

create or replace temp table holding as
select s.*, k.prediction_id as claimed, k.ts_pred, k.closes,
    count(*) over (partition by s.world, s.statement) - 1 as n_rivals,
    row_number() over (partition by s.world, s.statement order by k.ts_pred, k.prediction_id) as place
from statements s join known k
  on k.world = s.world and k.entity = s.entity and s.ts_event between k.ts_pred and k.closes
where s.key is null;

create or replace temp table by_fallback as
select h.* exclude (place, n_rivals), 'by_fallback' as pairing, h.n_rivals, case
    when v.fallback = 'unique' and h.n_rivals > 0 then 'ambiguous'
    when v.fallback = 'earliest' and h.place > 1 then 'not_chosen'
    when v.fallback = 'latest' and h.place <= h.n_rivals then 'not_chosen'
  end as lost
from holding h join views v using (world)
union all by name
select s.*, null as claimed, null as ts_pred, null as closes, null as pairing, 0 as n_rivals, 'no_candidate' as lost
from statements s anti join holding h using (world, statement)
where s.key is null;

create or replace temp table pairs as
select p.*, coalesce(r.rank, v.sources) as source_rank, case
    when p.ts_arrival > v.as_of then 'not_yet_arrived'
    when p.lost is not null then p.lost
    when p.ts_event < p.ts_pred then 'before_prediction'
    when p.ts_event > p.closes then 'after_window'
    when p.source = 'audit' then 'audit_row'
  end as out
from (select * from by_id union all by name select * from by_fallback) p
join views v using (world)
left join ranks r using (world, source);

-- ---- which statement counts ---------------------------------------------------------------------------------------

-- Definitions are not mixed within one prediction: the contract's own pushes the others out.
create or replace temp table defined as
select p.* exclude (out), case
    when p.out is not null then p.out
    when v.version is not null and p.label_version <> v.version and (v.strict
        or bool_or(coalesce(p.label_version, v.version) = v.version) filter (where p.out is null)
            over (partition by p.world, p.claimed))
      then 'other_definition'
    when v.strict and p.label_version is null then 'other_definition'
  end as out
from pairs p join views v using (world);

create or replace temp table timed as
select p.*, p.ts_arrival = case
    when v.corrections = 'keep_first' then min(p.ts_arrival) over (partition by p.world, p.claimed)
    else max(p.ts_arrival) over (partition by p.world, p.claimed)
  end as in_time
from defined p join views v using (world)
where p.out is null;

create or replace temp table ranked as
select *, in_time and source_rank = min(source_rank) filter (where in_time) over (partition by world, claimed) as finalist
from timed;

create or replace temp table judged as
select *,
    min(label) filter (where finalist) over (partition by world, claimed) as lowest,
    max(label) filter (where finalist) over (partition by world, claimed) as highest,
    min(statement) filter (where finalist) over (partition by world, claimed) as first_statement
from ranked;

create or replace temp table settled as
select j.* exclude (in_time, finalist, lowest, highest, first_statement, out), case
    when v.combine <> 'one' then 'used'
    when j.finalist and j.lowest < j.highest then 'conflicting_label'
    when j.finalist and j.statement = j.first_statement then 'used'
    when j.finalist or (j.in_time and j.lowest = j.highest and j.label = j.lowest) then 'duplicate_statement'
    else 'superseded'
  end as out
from judged j join views v using (world);

create or replace temp table acted as
select a.world, a.prediction_id, a.action, a.propensity, b.action is not null as blocked
from a_then a left join blocking b using (world, action)
where a.contents_then = 1;

create or replace temp table candidates as
select p.* exclude (out), case when p.out = 'used' and a.blocked then 'contradicts_action' else p.out end as fate
from (select * from settled union all by name select * from defined where out is not null) p
left join acted a on a.world = p.world and a.prediction_id = p.claimed;

-- ---- one label per prediction -------------------------------------------------------------------------------------

create or replace temp table events as
select *,
    row_number() over (partition by world, claimed order by ts_event, ts_arrival, statement) as from_first,
    row_number() over (partition by world, claimed order by ts_event desc, ts_arrival desc, statement desc) as from_last
from settled where out = 'used';

create or replace temp table combined as
select e.world, e.claimed as prediction_id, v.combine,
    max(label) filter (where from_first = 1) as first_label, max(label) filter (where from_last = 1) as last_label,
    max(label) as highest, sum(label) as total, count(*) as number
from events e join views v using (world)
group by all;

create or replace temp table labels as
select e.world, e.claimed as prediction_id, e.ts_event, e.ts_arrival, e.source, e.label_version, e.pairing, e.n_rivals,
    case c.combine
        when 'one' then c.last_label when 'first' then c.first_label when 'last' then c.last_label
        when 'any' then c.highest when 'max' then c.highest when 'sum' then c.total when 'count' then c.number
    end as label
from events e join combined c on c.world = e.world and c.prediction_id = e.claimed
where case when c.combine = 'first' then e.from_first else e.from_last end = 1;

create or replace temp table heard as
select world, claimed as prediction_id, count(*) as n_outcomes, bool_or(fate = 'conflicting_label') as conflicted
from candidates
where fate in ('used', 'superseded', 'duplicate_statement', 'conflicting_label', 'contradicts_action', 'other_definition')
group by all;

-- ---- states -------------------------------------------------------------------------------------------------------

-- Up to the watermark silence may be believed: the contract's word, else the newest arrival that is no backfill.
create or replace temp table watermarks as
select v.world, case
    when v.complete_through is not null then least(v.as_of, v.complete_through)
    else max(s.ts_arrival) filter (where s.ts_arrival <= v.as_of and s.source <> 'backfill')
  end as watermark
from views v left join o_contents s using (world)
group by v.world, v.as_of, v.complete_through;

create or replace temp table looked as
select k.*, v.silence, v.combine, v.session, a.action, a.propensity, coalesce(a.blocked, false) as blocked,
    coalesce(nullif(k.threshold, 'nan'::double), v.threshold) as limit_used,
    k.closes + v.grace_us as final_at, k.closes + v.grace_us <= v.as_of as mature,
    case when v.silence = 'negative' then coalesce(k.closes + v.grace_us <= w.watermark, false)
        else k.closes + v.grace_us <= v.as_of end as complete,
    coalesce(h.n_outcomes, 0) as n_outcomes, coalesce(h.conflicted, false) as conflicted,
    l.label as said, l.ts_event, l.ts_arrival as heard_at, l.source, l.label_version, l.pairing, l.n_rivals
from known k join views v using (world) join watermarks w using (world)
left join acted a using (world, prediction_id)
left join labels l using (world, prediction_id)
left join heard h using (world, prediction_id);

create or replace temp table spoken as
select *, said is not null and not blocked as has_label,
    said is null and not blocked and complete and not conflicted and silence = 'negative' as silent,
    score >= limit_used as by_score
from looked;

create or replace temp table joined as
select world, prediction_id, ts_pred, score, limit_used as threshold, coalesce(decision, by_score) as flagged, entity,
    model_version,
    case
        when blocked then 'censored'
        when has_label and combine in ('sum', 'count') then 'labelled'
        when silent and combine in ('sum', 'count') then 'labelled'
        when has_label and said = 1 then 'positive'
        when has_label or silent then 'negative'
        when complete then 'missing'
        else 'pending'
    end as state,
    case when has_label then said when silent then 0.0 end as label,
    case when has_label then ts_event end as ts_event,
    case when has_label then heard_at when silent then final_at end as ts_arrival,
    case when has_label then ts_event - ts_pred end as lag,
    case when has_label then heard_at - ts_pred when silent then final_at - ts_pred end as arrival_lag,
    case when has_label then pairing end as rule,
    case when has_label then source end as source,
    case when has_label then label_version end as label_version,
    mature, has_label and heard_at > final_at as late, n_outcomes,
    case when has_label then n_rivals else 0 end as n_rivals,
    action, propensity, blocked, by_score, decision,
    case when session then closes end as closes
from spoken;

-- ---- the account of the join --------------------------------------------------------------------------------------

create or replace temp table audit as
select world, "table", 'in' as rule, total as "rows" from sizes
union all
select world, "table", 'used', total - coalesce((
    select sum("rows") from load_account a where a.world = sizes.world and a."table" = sizes."table"), 0)
from sizes
union all
select world, "table", rule, "rows" from load_account
union all
select world, 'outcomes', 'arrival_is_event_time', count(*) from o_checked where arrival_unknown group by world
union all
select world, 'join', 'predictions', count(*) from joined group by world
union all
select world, 'join', 'state_' || state, count(*) from joined group by all
union all
select world, 'join', fate, count(*) from candidates group by all
union all
select world, 'join', rule, count(*) from joined where rule is not null group by all
union all
select world, 'join', 'late', count(*) filter (where late) from joined group by world
union all
select world, 'join', 'mature', count(*) filter (where mature) from joined group by world
union all
select p.world, 'join', 'after_as_of', count(*) from p_usual p join views v using (world)
where p.sharing = 1 and p.known_at > v.as_of group by p.world
union all
select world, 'join', 'clash_still_unknown', count(*) from (
    select world from known anti join (select * from p_usual where sharing = 1) using (world, prediction_id)
    union all select world from told where contents > 1
    union all select world from a_then where contents > 1 and contents_then = 1
  ) group by world
union all
select p.world, 'join', 'clash_then', count(*)
from p_usual p join views v using (world) anti join known k using (world, prediction_id)
where p.sharing = 1 and p.known_at <= v.as_of group by p.world
union all
select world, 'join', 'feed_incomplete', count(*) from joined where mature and state = 'pending' group by world
union all
select world, 'join', 'decision_disagrees', count(*) from joined where decision <> by_score group by world
union all
select j.world, 'join', 'older_definition', count(*) from joined j join views v using (world)
where j.label_version <> v.version group by j.world
union all
select j.world, 'join', 'unknown_definition', count(*) from joined j join views v using (world)
where v.version is not null and j.rule is not null and j.label_version is null group by j.world;
