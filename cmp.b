program "m" profile fma

kernel contract(dy_: f32[16,28,28,512], w_: f32[3,3,512,512]) -> (dx_1) {
  w__transposed[t0<3, t1<3, t3<512, t2<512] = w_[t0,t1,t2,t3]
  dy__bordered[t0<16, t1<30, t2<30, t3] = dy_[t0, t1-1, t2-1, t3 else 0]
  w__transposed_packed[panel<16, t0<3, t1<3, t2<512, lane<32] = w__transposed[t0, t1, t2, panel*32+lane]
  dx_1[n<16, h<28, w<28, c<512] = dot i<3, j<3, o<512 where h == p + i - 1, w == q + j - 1 block 1 : dy__bordered[n, p+1, q+1, o] * w__transposed_packed[c//32, i, j, o, c % 32]
}
schedule contract {
  at w__transposed : innermost registers
  at dy__bordered : n of dx_1
  vector dy__bordered : t3 16
  parallel dy__bordered : t1 by 5
  tile w__transposed_packed : t2 16
  parallel w__transposed_packed : panel, t0, t1
  outer dx_1 : i 1
  tile dx_1 : w 14, c 32
  vector dx_1 : c 16
  order dx_1 : n, c, h, w, i
  parallel dx_1 : c, h
}

func f(dy, w) -> (dx) {
  tensor dy: f32[16,28,28,512] input
  tensor w: f32[3,3,512,512] input
  tensor dx: f32[16,28,28,512] output
  dx = contract(dy, w)
}
