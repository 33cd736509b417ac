data "ob_package" "seekdb" {
  files = [{
    path   = "${path.module}/pylibseekdb-1.4.0.post1-cp311-cp311-manylinux_2_28_x86_64.whl"
    sha256 = "7c1c1e13148189af1332f69b896a818b674db3a4615c7caf1c9db05055738ad6"
  }]
}
